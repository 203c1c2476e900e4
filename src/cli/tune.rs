//! `tune`: its arguments.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::Args;

use super::{
    args::{BuildArgs, Format, FormatArgs},
    stdout::{json, print},
};
use crate::{
    model::{
        error::{Result, Status},
        feature::Feature,
    },
    ops::{self, tune::TuneRequest},
    sys::{Context, fs},
};

#[derive(Debug, Args)]
pub(super) struct TuneArgs {
    /// Binary and its arguments, run in the current directory without input [default: `tune.run` in
    /// metadata]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Number of measured runs of each variant
    #[arg(long, value_name = "N", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Measure this variant and the current settings only; repeatable
    #[arg(long = "variant", value_name = "NAME")]
    variants: Vec<String>,
    /// Time limit of one run in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    limit: u64,
    /// Write an HTML page to this file: size against time, and the table
    #[arg(long, value_name = "FILE")]
    html: Option<Utf8PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    build: BuildArgs,
}

/// Builds and measures, and prints the comparison.
pub(super) fn run(cx: &Context, args: &TuneArgs, verbose: u8) -> Result<Status> {
    if args.html.is_some() {
        Feature::SizePage.require()?;
    }
    let request = TuneRequest {
        build: args.build.request(verbose),
        command: args.command.clone(),
        rounds: args.rounds,
        variants: args.variants.clone(),
        limit: Duration::from_secs(args.limit),
    };
    let tune = ops::tune::tune(cx, &request)?;
    if let Some(path) = &args.html {
        fs::write(path, ops::tune::page(&tune)?.as_bytes())?;
        cx.status("Wrote", path.as_str());
    }
    match args.format.message_format {
        Format::Json => json(&tune)?,
        Format::Human => print(&ops::tune::format_tune(&tune))?,
    }
    Ok(Status::Done)
}
