//! `push`: its arguments and its output.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{args::Format, assemble, json, print, registry::RegistryArgs};
use crate::{
    image::tags::PushKind,
    model::{
        error::{Result, Status},
        reference::Reference,
        schema::{
            Push,
            push::{Pushed, TagOutcome},
        },
    },
    ops::push::{self, PushRequest, PushSource, TagOptions},
    sys::Context,
};

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// Destination: `ghcr.io/me/tool`, with `:TAG` for a different tag than the image's, or without
    /// a tag with `--tags`
    #[arg(required = true, value_name = "REFERENCE")]
    references: Vec<Reference>,
    /// Push this OCI layout or archive; `PATH:TAG` or `PATH@DIGEST` selects one of several images
    #[arg(long, value_name = "PATH", conflicts_with_all = ["dist", "package"])]
    from: Option<String>,
    /// Directory with `dist.json` [default: `target/dist` here or in a parent directory]
    #[arg(long, value_name = "DIR")]
    dist: Option<Utf8PathBuf>,
    /// Push this image of several
    #[arg(short, long, value_name = "NAME")]
    package: Option<String>,
    /// Write no tag: only the content, to which tags can be pointed later
    #[arg(long, conflicts_with_all = ["from", "tags"])]
    by_digest: bool,
    #[command(flatten)]
    tags: TagArgs,
    /// Mount existing blobs from this repository of the same registry; repeatable
    #[arg(long, value_name = "PATH")]
    mount_from: Vec<String>,
    /// Push only the image, without SBOM and provenance
    #[arg(long)]
    no_attach: bool,
    /// Print what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Output on stdout: the image by digest for each reference, or a report
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
}

/// The tags to write, and checks of the result.
#[derive(Debug, Args)]
pub(super) struct TagArgs {
    /// Write the tags of the version or revision: for a release `X.Y.Z`, which is immutable, and
    /// `X.Y`, `X` and `latest`, which move only to higher versions (docs/registry.md)
    #[arg(long, value_name = "OCCASION", help_heading = TAGS)]
    tags: Option<Tags>,
    /// Also write the tag of this branch
    #[arg(long, value_name = "NAME", help_heading = TAGS, requires = "tags")]
    branch: Option<String>,
    /// Move this tag, even from a higher version or from an image without a version; repeatable
    #[arg(long, value_name = "TAG", help_heading = TAGS, requires = "tags")]
    move_tag: Vec<String>,
    /// Allow a release with uncommitted changes or of an unknown commit
    #[arg(long, help_heading = TAGS, requires = "tags")]
    allow_dirty: bool,
    /// Pull and verify the result
    #[arg(long)]
    pub(super) verify: bool,
}

const TAGS: &str = "Tags";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tags {
    /// A release, or a prerelease if the version is one
    Release,
    /// Anything else: `sha-REVISION`
    Snapshot,
}

impl TagArgs {
    pub(super) fn tagging(&self) -> Option<TagOptions> {
        let release_kind = match self.tags? {
            Tags::Release => PushKind::Release,
            Tags::Snapshot => PushKind::Snapshot,
        };
        let (branch, moves) = (self.branch.clone(), self.move_tag.clone());
        Some(TagOptions { release_kind, branch, moves, allow_dirty: self.allow_dirty })
    }
}

pub(super) fn run(cx: &Context, args: &PushArgs) -> Result<Status> {
    let source = match &args.from {
        Some(path) => PushSource::Path(path.clone()),
        None => PushSource::Dist(assemble::dist(cx, args.dist.as_deref())?, args.package.clone()),
    };
    let references = if args.by_digest {
        push::by_digest(&source, &args.references)?
    } else {
        args.references.clone()
    };
    let request = PushRequest {
        source,
        references,
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
        Format::Human if pushed.dry_run => print(&push::format_push(&pushed))?,
        Format::Human => print(&digest_lines(&pushed))?,
    }
    let rejected = pushed.tags.iter().any(|tag| tag.outcome == TagOutcome::Refused);
    Ok(if rejected { Status::CheckFailed } else { Status::Done })
}

/// Returns the digest of the pushed image for each reference.
pub(super) fn digest_lines(pushed: &Push) -> String {
    let line = |entry: &Pushed| format!("{}@{}\n", entry.repository, pushed.digest);
    pushed.references.iter().map(line).collect()
}
