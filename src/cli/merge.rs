//! `merge`: its arguments and its output.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{args::Format, json, print, push::TagArgs, registry::RegistryArgs};
use crate::{
    model::{
        error::{Error, Result, Status},
        platform::Platform,
        reference::Reference,
    },
    ops::merge::{self, MergeRequest},
    release::merge::{Attestations, MergeOptions},
    sys::Context,
};

#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// Parts in any order: directories with `dist.json`, or images by digest
    /// (`HOST/NAME@sha256:…`)
    #[arg(required = true, value_name = "PART")]
    parts: Vec<String>,
    /// Directory of the release [default: `target/dist` here]
    #[arg(long, value_name = "DIR")]
    into: Option<Utf8PathBuf>,
    /// Required platform, such as linux/arm64; repeatable [default: all platforms that the parts
    /// record]
    #[arg(long = "platform", value_name = "OS/ARCH")]
    platforms: Vec<Platform>,
    /// Handling of attestations that other tools added to an index
    #[arg(long, value_name = "WHAT", default_value = "refuse")]
    attestations: Attestations,
    /// Also push the image: `ghcr.io/me/tool`, with `:TAG` for a different tag; repeatable
    #[arg(long, value_name = "REFERENCE")]
    push: Vec<Reference>,
    #[command(flatten)]
    tags: TagArgs,
    /// Push only the image, without SBOM and provenance
    #[arg(long)]
    no_attach: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Output on stdout: each image by digest, or dist.json; for images in registries, a report of
    /// the push
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
}

impl ValueEnum for Attestations {
    fn value_variants<'a>() -> &'a [Self] {
        &[Attestations::Refuse, Attestations::Keep, Attestations::Drop]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self {
            Attestations::Refuse => "refuse",
            Attestations::Keep => "keep",
            Attestations::Drop => "drop",
        }))
    }
}

pub(super) fn run(cx: &Context, args: &MergeArgs) -> Result<Status> {
    let into = match (&args.into, cx.env.var("CARGO_TARGET_DIR")) {
        (Some(dir), _) => cx.env.dir.join(dir),
        (None, Some(dir)) => cx.env.dir.join(dir).join("dist"),
        (None, None) => cx.env.dir.join("target/dist"),
    };
    let request = MergeRequest {
        parts: args.parts.clone(),
        into,
        options: MergeOptions {
            platforms: args.platforms.clone(),
            attestations: args.attestations,
        },
        push: args.push.clone(),
        attach: !args.no_attach,
        tagging: args.tags.tagging(),
        verify: args.tags.verify,
        registry: args.registry.settings(),
    };
    if args.push.is_empty() && (request.tagging.is_some() || request.verify) {
        return Err(Error::usage("nothing is pushed, and nothing gets a tag")
            .hint("`--push` names the destination of the image"));
    }
    let merged = merge::merge(cx, &request)?;
    match (args.message_format, &merged.dist, &merged.push) {
        (Format::Json, Some(dist), _) => json(dist)?,
        (Format::Json, None, pushed) => json(pushed)?,
        (Format::Human, _, Some(pushed)) => print(&super::push::digest_lines(pushed))?,
        (Format::Human, Some(dist), None) => {
            let line = |image: &crate::model::schema::dist::Image| {
                format!("{}@{}\n", image.name, image.digest)
            };
            print(&dist.images.iter().map(line).collect::<String>())?;
        }
        (Format::Human, None, None) => {}
    }
    Ok(Status::Done)
}
