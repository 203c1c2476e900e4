//! `ci`: its arguments and its output.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum, builder::PossibleValue};

use super::{
    comment::{self, CommentArgs},
    print,
};
use crate::{
    model::{
        error::{Error, Result, Status},
        provider::Provider,
    },
    ops::ci::{self, CiRequest, PreflightRequest},
    sys::Context,
};

#[derive(Debug, Args)]
pub(super) struct CiArgs {
    #[command(subcommand)]
    verb: CiVerb,
}

#[derive(Debug, Subcommand)]
enum CiVerb {
    /// Write the files; settings are in Cargo.toml (docs/ci.md)
    Generate(ProviderArgs),
    /// Print how the files differ from those that `generate` would write; status 1 if one does
    Check(ProviderArgs),
    /// Copy this program, with its digest on stdout, for jobs that must not compile
    Tool {
        /// Directory for the program, as `cargo-longshore`
        #[arg(long, value_name = "DIR")]
        into: Utf8PathBuf,
    },
    /// Check the tag, secrets and platforms of a release before anything is built
    Preflight {
        /// Tag to release [default: that of the CI system]
        #[arg(long, value_name = "TAG")]
        tag: Option<String>,
        /// Leave the secrets out: a different job checks them
        #[arg(long)]
        without_secrets: bool,
        /// Path to Cargo.toml
        #[arg(long, value_name = "PATH")]
        manifest_path: Option<Utf8PathBuf>,
    },
    /// Create or update the comment with a report on the pull request
    Comment(CommentArgs),
}

#[derive(Debug, Args)]
struct ProviderArgs {
    /// CI system; repeatable [default: those in Cargo.toml, or else those with generated files, or
    /// else GitHub]
    #[arg(long = "provider", value_name = "NAME")]
    providers: Vec<Provider>,
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<Utf8PathBuf>,
}

impl ValueEnum for Provider {
    fn value_variants<'a>() -> &'a [Self] {
        &Provider::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl ProviderArgs {
    fn request(&self) -> CiRequest {
        CiRequest { providers: self.providers.clone(), manifest_path: self.manifest_path.clone() }
    }
}

pub(super) fn run(cx: &Context, args: &CiArgs) -> Result<Status> {
    match &args.verb {
        CiVerb::Generate(files) => {
            let changed = ci::generate(cx, &files.request())?;
            if changed.is_empty() {
                cx.status("Fresh", "every file is as it would be");
            }
            Ok(Status::Done)
        }
        CiVerb::Check(files) => {
            let different = ci::check(cx, &files.request())?;
            let [first, ..] = &different[..] else { return Ok(Status::Done) };
            print(&different.iter().map(|file| file.difference.as_str()).collect::<String>())?;
            let what = if first.missing { "is missing" } else { "differs from the generated file" };
            let more = different.len() - 1;
            let others = match more {
                0 => String::new(),
                _ => format!(" (and {more} more)"),
            };
            Err(Error::check(format!("`{}` {what}{others}", first.path))
                .hint("run `ci generate`; settings are in Cargo.toml, see docs/ci.md"))
        }
        CiVerb::Tool { into } => {
            let digest = ci::export_tool(cx, into)?;
            print(&format!("{}\n", digest.hex()))?;
            Ok(Status::Done)
        }
        CiVerb::Preflight { tag, without_secrets, manifest_path } => {
            let request = PreflightRequest {
                tag: tag.clone(),
                without_secrets: *without_secrets,
                manifest_path: manifest_path.clone(),
            };
            ci::preflight(cx, &request)?;
            Ok(Status::Done)
        }
        CiVerb::Comment(args) => comment::run(cx, args),
    }
}
