//! `push`: the arguments, and what goes to stdout.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{args::Format, assemble, json, print, registry::RegistryArgs};
use crate::{
    image::tags::Occasion,
    model::{
        error::{Result, Status},
        reference::Reference,
        schema::{
            Push,
            push::{Outcome, Pushed},
        },
    },
    ops::push::{self, Request, Source, Tagging},
    sys::Context,
};

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// Where it goes: `ghcr.io/me/tool`, with `:TAG` for another tag than the image's own, and without
    /// one with `--tags`; one or more
    #[arg(required = true, value_name = "REFERENCE")]
    references: Vec<Reference>,
    /// Push this OCI layout or archive; `PATH:TAG` or `PATH@DIGEST` for one image of several
    #[arg(long, value_name = "PATH", conflicts_with_all = ["dist", "package"])]
    from: Option<String>,
    /// The directory with `dist.json`; `target/dist` here or above when absent
    #[arg(long, value_name = "DIR")]
    dist: Option<Utf8PathBuf>,
    /// Push this image, where `dist` made several
    #[arg(short, long, value_name = "NAME")]
    package: Option<String>,
    #[command(flatten)]
    tags: TagArgs,
    /// Take blobs from this repository of the same registry, where it has them; repeatable
    #[arg(long, value_name = "PATH")]
    mount_from: Vec<String>,
    /// Push the image alone, without bill of materials and provenance
    #[arg(long)]
    no_attach: bool,
    /// Show what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    /// What goes to stdout: the image by its digest for each reference, or all that was done
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
}

/// Which tags, and whether that came about.
#[derive(Debug, Args)]
pub(super) struct TagArgs {
    /// Write the tags that the version or the revision gives: for a release `X.Y.Z`, which never
    /// moves, and `X.Y`, `X` and `latest`, which only rise; docs/registry.md has them all
    #[arg(long, value_name = "OCCASION", help_heading = TAGS)]
    tags: Option<Tags>,
    /// Write the tag of this branch, too
    #[arg(long, value_name = "NAME", help_heading = TAGS, requires = "tags")]
    branch: Option<String>,
    /// Move this tag, even from a higher version or from an image that says none; repeatable
    #[arg(long, value_name = "TAG", help_heading = TAGS, requires = "tags")]
    move_tag: Vec<String>,
    /// Release what is made of files that differ from their commit, or of an unknown commit
    #[arg(long, help_heading = TAGS, requires = "tags")]
    allow_dirty: bool,
    /// Pull what was pushed, and verify it
    #[arg(long)]
    pub(super) verify: bool,
}

const TAGS: &str = "Tags";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tags {
    /// A release, or a prerelease where the version is one
    Release,
    /// Something in between: `sha-REVISION`
    Snapshot,
}

impl TagArgs {
    pub(super) fn tagging(&self) -> Option<Tagging> {
        let occasion = match self.tags? {
            Tags::Release => Occasion::Release,
            Tags::Snapshot => Occasion::Snapshot,
        };
        let (branch, moves) = (self.branch.clone(), self.move_tag.clone());
        Some(Tagging { occasion, branch, moves, allow_dirty: self.allow_dirty })
    }
}

pub(super) fn run(cx: &Context, args: &PushArgs) -> Result<Status> {
    let source = match &args.from {
        Some(path) => Source::Path(path.clone()),
        None => Source::Dist(assemble::dist(cx, args.dist.as_deref())?, args.package.clone()),
    };
    let request = Request {
        source,
        references: args.references.clone(),
        mount_from: args.mount_from.clone(),
        dry_run: args.dry_run,
        attach: !args.no_attach,
        tagging: args.tags.tagging(),
        verify: args.tags.verify,
        registry: args.registry.settings(),
    };
    let pushed = push::push(cx, &request)?;
    match args.message_format {
        Format::Json => json(&pushed)?,
        Format::Human if pushed.dry_run => print(&push::text(&pushed))?,
        Format::Human => print(&lines(&pushed))?,
    }
    let refused = pushed.tags.iter().any(|tag| tag.outcome == Outcome::Refused);
    Ok(if refused { Status::CheckFailed } else { Status::Done })
}

/// What was pushed, by its digest, for each reference.
pub(super) fn lines(pushed: &Push) -> String {
    let line = |of: &Pushed| format!("{}@{}\n", of.repository, pushed.digest);
    pushed.references.iter().map(line).collect()
}
