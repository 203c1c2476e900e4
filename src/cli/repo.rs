//! `package repo`: its arguments and its output.

use camino::Utf8PathBuf;
use clap::Args;

use super::{args::Format, assemble, json, print};
use crate::{
    model::{
        error::{Error, Result},
        schema::package::Repository,
    },
    ops::package::repo::{self, RepositoryRequest},
    sys::Context,
};

#[derive(Debug, Args)]
pub(super) struct RepoArgs {
    /// Directory with `dist.json` [default: `target/dist` here or in a parent directory]
    #[arg(value_name = "DIST")]
    dist: Option<Utf8PathBuf>,
    /// Add the .deb packages to the apt repository in this directory
    #[arg(long, value_name = "DIR")]
    apt: Option<Utf8PathBuf>,
    /// Add the .rpm packages to the dnf repository in this directory
    #[arg(long, value_name = "DIR")]
    rpm: Option<Utf8PathBuf>,
    /// Add only the packages of this cargo package; repeatable
    #[arg(short, long = "package", value_name = "NAME")]
    packages: Vec<String>,
    /// Sign with this key of gpg: a fingerprint, an ID or a mail address; its passphrase is in
    /// `LONGSHORE_GPG_PASSPHRASE`, or gpg's agent has it [default: `repo.gpg-key` of the metadata]
    #[arg(long, value_name = "KEY")]
    gpg_key: Option<String>,
    /// Suite of the apt repository [default: `repo.suite` of the metadata, or stable]
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
    /// Component of the apt repository [default: `repo.component` of the metadata, or main]
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// Origin of the apt repository [default: `repo.origin` of the metadata, the current one, or the name of the
    /// release]
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
    /// Output on stdout: the index of each repository, or its packages
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
}

pub(super) fn run(cx: &Context, args: &RepoArgs) -> Result<()> {
    if args.apt.is_none() && args.rpm.is_none() {
        return Err(
            Error::usage("no repository is given").hint("`--apt DIR`, `--rpm DIR`, or both")
        );
    }
    let request = RepositoryRequest {
        dist: assemble::dist(cx, args.dist.as_deref())?,
        apt: args.apt.clone(),
        rpm: args.rpm.clone(),
        packages: args.packages.clone(),
        suite: args.suite.clone(),
        component: args.component.clone(),
        origin: args.origin.clone(),
        gpg_key: args.gpg_key.clone(),
    };
    let repositories = repo::repo(cx, &request)?;
    match args.message_format {
        Format::Json => json(&repositories),
        Format::Human => {
            let line = |one: &Repository| format!("{}/{}\n", one.path, one.index);
            print(&repositories.iter().map(line).collect::<String>())
        }
    }
}
