//! `reproduce`: its arguments and its report.

use camino::Utf8PathBuf;
use clap::Args;

use super::{
    args::{Format, FormatArgs},
    json, print,
    registry::RegistryArgs,
};
use crate::{
    model::error::{Result, Status},
    ops::reproduce::{self, ReproduceRequest},
    release::reproduce::human,
    sys::Context,
};

#[derive(Debug, Args)]
pub(super) struct ReproduceArgs {
    /// A `dist.json` or its directory, an image in a registry (`HOST/NAME:TAG`, `docker://NAME`), or
    /// the URL of a release's `dist.json` or directory
    #[arg(value_name = "RELEASE")]
    release: String,
    /// Repository with the commit: a directory, or a URL to clone [default: the current directory]
    #[arg(long, value_name = "DIR|URL")]
    source: Option<String>,
    /// Commit to build instead of the recorded one
    #[arg(long, value_name = "COMMIT")]
    revision: Option<String>,
    /// Path to Cargo.toml in the source
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<Utf8PathBuf>,
    /// Write an in-toto attestation to this file if the release is reproduced
    #[arg(long, value_name = "FILE")]
    attestation: Option<Utf8PathBuf>,
    /// Build with the installed rustc and zig, whatever versions are recorded
    #[arg(long)]
    any_tools: bool,
    /// Compare a release of a tree with changes with its commit
    #[arg(long)]
    allow_dirty: bool,
    /// Use the recorded `--config` options, which can name programs that cargo runs
    #[arg(long)]
    allow_config: bool,
    /// Directory to build in; the rebuild gets its own directory there [default: in the cache
    /// directory]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<Utf8PathBuf>,
    /// Number of parallel jobs
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Source of std, for targets that rustup does not provide
    #[arg(long, value_name = "DIR")]
    rust_src: Option<Utf8PathBuf>,
    /// Profile that the programs were optimised with
    #[arg(long, value_name = "FILE")]
    pgo_profile: Option<Utf8PathBuf>,
    /// Fetch no tools and no crates
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Reproduces a release, and prints the report.
pub(super) fn run(cx: &Context, args: &ReproduceArgs, verbose: u8) -> Result<Status> {
    let reproduction = reproduce::reproduce(
        cx,
        &ReproduceRequest {
            release: args.release.clone(),
            source: args.source.clone(),
            revision: args.revision.clone(),
            manifest_path: args.manifest_path.clone(),
            work_dir: args.work_dir.clone(),
            attestation: args.attestation.clone(),
            any_tools: args.any_tools,
            allow_dirty: args.allow_dirty,
            allow_config: args.allow_config,
            offline: args.offline,
            jobs: args.jobs,
            rust_src: args.rust_src.clone(),
            pgo_profile: args.pgo_profile.clone(),
            verbose,
            registry: args.registry.settings(),
        },
    )?;
    match args.format.message_format {
        Format::Json => json(&reproduction)?,
        Format::Human => print(&human(&reproduction))?,
    }
    Ok(if reproduction.reproduced { Status::Done } else { Status::CheckFailed })
}
