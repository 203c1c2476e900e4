//! `cache save` and `cache restore`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::{
    args::{Format, FormatArgs},
    json,
};
use crate::{
    model::error::{Result, Status},
    ops::cache::{self, CacheRequest},
    sys::Context,
};

#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    verb: CacheVerb,
}

#[derive(Debug, Subcommand)]
enum CacheVerb {
    /// Save what the last `dist` compiled
    Save(CacheDirectory),
    /// Restore it after a fresh clone, so that `dist` compiles only what changed
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
struct RestoreArgs {
    #[command(flatten)]
    location: CacheDirectory,
    /// Reject caches that were not saved with the secret in LONGSHORE_CACHE_SECRET, and all caches
    /// if it is not set
    #[arg(long)]
    authenticated: bool,
}

#[derive(Debug, Args)]
struct CacheDirectory {
    /// Directory of the cache
    #[arg(value_name = "DIR")]
    directory: Utf8PathBuf,
    /// Directory for all generated files, as for `dist`
    #[arg(long, value_name = "DIR")]
    target_dir: Option<Utf8PathBuf>,
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<Utf8PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(cx: &Context, args: &CacheArgs) -> Result<Status> {
    let request = |location: &CacheDirectory, authenticated: bool| CacheRequest {
        directory: location.directory.clone(),
        target_dir: location.target_dir.clone(),
        manifest_path: location.manifest_path.clone(),
        authenticated,
    };
    let (report, format) = match &args.verb {
        CacheVerb::Save(location) => {
            (cache::save(cx, &request(location, false))?, &location.format)
        }
        CacheVerb::Restore(args) => {
            let request = request(&args.location, args.authenticated);
            (cache::restore(cx, &request)?, &args.location.format)
        }
    };
    if format.message_format == Format::Json {
        json(&report)?;
    }
    // A rejected cache makes the build slower, and is not an error.
    Ok(Status::Done)
}
