//! `package` and `package list`.

use std::fmt::Write as _;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};

use super::{
    args::Format,
    assemble, json, print,
    repo::{self, RepoArgs},
};
use crate::{
    model::{
        error::{Result, Status},
        schema::{package::ArchiveListing, packaging},
    },
    ops::package::{
        self, PackageRequest, list,
        publish::{self, PublishRequest},
    },
    sys::{Context, cargo},
};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct PackageArgs {
    #[command(subcommand)]
    verb: Option<PackageVerb>,
    #[command(flatten)]
    make: MakeArgs,
}

#[derive(Debug, Subcommand)]
enum PackageVerb {
    /// List the content of archives: tar with gzip, zstd or xz, zip, wheel, .deb, .rpm
    List {
        /// Archives, or directories with `dist.json` [default: `target/dist` here or in a parent
        /// directory]
        #[arg(value_name = "PATH")]
        paths: Vec<Utf8PathBuf>,
        /// Output on stdout: text, or JSON with a versioned schema
        #[arg(long, value_name = "FMT", default_value = "human")]
        message_format: Format,
    },
    /// Add the packages of a release to repositories for apt and dnf
    Repo(RepoArgs),
    /// Publish the packages for npm, the main package last; run again to resume
    PublishNpm {
        /// Directory with `dist.json` [default: `target/dist` here or in a parent directory]
        #[arg(value_name = "DIST")]
        dist: Option<Utf8PathBuf>,
        /// Publish only the packages of this cargo package; repeatable
        #[arg(short, long = "package", value_name = "NAME")]
        packages: Vec<String>,
        /// URL of the registry [default: as npm is configured]
        #[arg(long, value_name = "URL")]
        registry: Option<String>,
        /// Tag of the version [default: `latest`, or the word of the pre-release]
        #[arg(long, value_name = "TAG")]
        tag: Option<String>,
        /// Compare with the registry, and publish nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
struct MakeArgs {
    /// Directory with `dist.json` [default: `target/dist` here or in a parent directory]
    #[arg(value_name = "DIST")]
    dist: Option<Utf8PathBuf>,
    /// Build only the archives of this package; repeatable
    #[arg(short, long = "package", value_name = "NAME")]
    packages: Vec<String>,
    /// Format, instead of those in the metadata; repeatable
    #[arg(long = "format", value_name = "FORMAT")]
    formats: Vec<packaging::Format>,
    /// Path to the Cargo.toml of the workspace, for README and licences
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<Utf8PathBuf>,
    /// Output on stdout: the path of each archive, or its entry in dist.json
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
}

impl ValueEnum for packaging::Format {
    fn value_variants<'a>() -> &'a [Self] {
        &packaging::Format::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.ending()))
    }
}

pub(super) fn run(cx: &Context, args: &PackageArgs) -> Result<Status> {
    match &args.verb {
        None => make(cx, &args.make)?,
        Some(PackageVerb::Repo(args)) => repo::run(cx, args)?,
        Some(PackageVerb::List { paths, message_format }) => {
            let mut listed = Vec::new();
            for path in paths {
                if path.is_dir() {
                    listed.extend(list::list_release(path)?);
                } else {
                    listed.push(list::list(path)?);
                }
            }
            if paths.is_empty() {
                listed = list::list_release(&assemble::dist(cx, None)?)?;
            }
            for archive in &listed {
                let noted =
                    archive.contents.iter().filter_map(|entry| Some((entry, entry.note.as_ref()?)));
                for (entry, note) in noted {
                    let path = entry.path.escape_debug();
                    cx.warn(format!("`{}`: `{path}` is {note}", archive.path));
                }
            }
            match message_format {
                Format::Json => json(&listed)?,
                Format::Human => print(&listed.iter().map(format_listing).collect::<String>())?,
            }
        }
        Some(PackageVerb::PublishNpm { dist, packages, registry, tag, dry_run }) => {
            let request = PublishRequest {
                dist: assemble::dist(cx, dist.as_deref())?,
                packages: packages.clone(),
                registry: registry.clone(),
                tag: tag.clone(),
                dry_run: *dry_run,
            };
            publish::publish_npm(cx, &request)?;
        }
    }
    Ok(Status::Done)
}

fn make(cx: &Context, args: &MakeArgs) -> Result<()> {
    let request = PackageRequest {
        dist: assemble::dist(cx, args.dist.as_deref())?,
        workspace: cargo::root(cx, args.manifest_path.as_deref())?,
        packages: args.packages.clone(),
        formats: args.formats.clone(),
    };
    let dist = package::package(cx, &request)?;
    match args.message_format {
        Format::Json => json(&dist.archives),
        Format::Human => {
            let archives = dist.archives.iter().map(|archive| &archive.path);
            let all = archives.chain(dist.channels.iter().map(|channel| &channel.path));
            print(&all.map(|path| format!("{}\n", request.dist.join(path))).collect::<String>())
        }
    }
}

/// Formats a mode as `ls -l` does.
fn format_listing(listed: &ArchiveListing) -> String {
    let mut text = format!("{} ({} bytes, {})\n", listed.path, listed.size, listed.sha256);
    let width = listed.contents.iter().map(|entry| entry.size.to_string().len()).max();
    let width = width.unwrap_or(0);
    for entry in &listed.contents {
        let mode = entry.mode.map_or("----".to_owned(), |mode| format!("{mode:04o}"));
        let what = match (&entry.link, &entry.sha256) {
            (Some(link), _) => format!("-> {link}"),
            (None, Some(digest)) => digest.short(),
            (None, None) => "no digest".to_owned(),
        };
        let _ = writeln!(text, "  {mode} {:>width$} {what} {}", entry.size, entry.path);
    }
    text
}
