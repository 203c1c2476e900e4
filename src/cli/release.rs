//! `release`: its arguments and its output.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{args::Format, assemble, json, print};
use crate::{
    model::{
        error::{Result, Status},
        schema::publication::ForgeKind,
    },
    ops::release::{self, ReleaseRequest},
    release::publish::RequestedDestination,
    sys::{Context, forge::Settings},
};

#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    /// Directory with `dist.json` [default: `target/dist` here or in a parent directory]
    #[arg(long, value_name = "DIR")]
    from: Option<Utf8PathBuf>,
    /// Tag of the release, which exists at the forge [default: that of the CI job, or `vVERSION`]
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Title [default: the tag]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Release notes in Markdown [default: the section of the version in CHANGELOG.md]
    #[arg(long, value_name = "FILE")]
    notes: Option<Utf8PathBuf>,
    /// Mark as a prerelease, also if the version is not one
    #[arg(long)]
    prerelease: bool,
    /// Upload and compare all files, and publish nothing
    #[arg(long)]
    draft: bool,
    /// Print what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Download the published files and compare them
    #[arg(long, conflicts_with = "dry_run")]
    verify: bool,
    /// Kind of forge [default: that of the CI job, or of the host of the git remote `origin`]
    #[arg(long, value_name = "KIND", help_heading = FORGE)]
    forge: Option<ForgeKind>,
    /// Address of the API, such as `https://git.example.org/api/v1`
    #[arg(long, value_name = "URL", help_heading = FORGE)]
    api: Option<String>,
    /// Repository [default: that of the CI job, or of the git remote `origin`]
    #[arg(long, value_name = "OWNER/NAME", help_heading = FORGE)]
    repository: Option<String>,
    /// Also trust the certificates in this file; repeatable
    #[arg(long = "ca", value_name = "FILE", help_heading = FORGE)]
    ca: Vec<Utf8PathBuf>,
    /// Allow plain HTTP with this server; repeatable
    #[arg(long = "insecure", value_name = "HOST", help_heading = FORGE)]
    insecure: Vec<String>,
    /// Output on stdout: the address of the release, or a report
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
}

const FORGE: &str = "Forge options";

impl ValueEnum for ForgeKind {
    fn value_variants<'a>() -> &'a [Self] {
        &ForgeKind::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let value = clap::builder::PossibleValue::new(self.name());
        Some(match self {
            ForgeKind::Forgejo => value.aliases(["gitea", "codeberg"]),
            ForgeKind::Github | ForgeKind::Gitlab => value,
        })
    }
}

/// Publishes the release.
pub(super) fn run(cx: &Context, args: &ReleaseArgs) -> Result<Status> {
    let request = ReleaseRequest {
        dist: assemble::dist(cx, args.from.as_deref())?,
        destination: RequestedDestination {
            forge: args.forge,
            api: args.api.clone(),
            repository: args.repository.clone(),
        },
        tag: args.tag.clone(),
        title: args.title.clone(),
        notes: args.notes.clone(),
        prerelease: args.prerelease,
        draft: args.draft,
        dry_run: args.dry_run,
        verify: args.verify,
        server: Settings {
            ca: args.ca.clone(),
            insecure: args.insecure.clone(),
            ..Settings::default()
        },
    };
    let publication = release::release(cx, &request)?;
    match (args.message_format, &publication.url) {
        (Format::Json, _) => json(&publication)?,
        (Format::Human, _) if publication.dry_run => {
            print(&release::format_publication(&publication))?;
        }
        (Format::Human, Some(url)) => print(&format!("{url}\n"))?,
        (Format::Human, None) => {}
    }
    Ok(Status::Done)
}
