//! `size`: its arguments and its reports.

use std::io::Write;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::{args::BuildArgs, registry::RegistryArgs};
use crate::{
    model::{
        error::{Result, Status},
        provider::Provider,
        schema::size::RowKind,
    },
    ops,
    size::{View, csv, human, markdown},
    sys::{Context, fs},
};

/// The default number of rows of a table.
const DEFAULT_ROWS: usize = 25;

#[derive(Debug, Args)]
pub(super) struct SizeArgs {
    /// Binaries, a `dist.json` or its directory, images (OCI layouts and archives, in registries as
    /// `HOST/NAME:TAG` or `docker://NAME`) [default: `target/dist`]
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Compare with this `dist.json`, binary, image, or git revision, which is built
    #[arg(long, value_name = "BASE")]
    base: Option<String>,
    /// Kind of rows
    #[arg(long, value_name = "WHAT", default_value = "crate")]
    by: RowKind,
    /// Number of rows; the others are summed up in one
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Only rows with this text in their names; the others are summed up in one
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Unstripped file of the binary, or its separate debug file
    #[arg(long, value_name = "FILE")]
    symbols: Option<Utf8PathBuf>,
    /// Compute the compressed size of each row of a binary; known for a `dist`
    #[arg(long)]
    compressed: bool,
    /// Also check the budgets of this policy file (docs/policy.md)
    #[arg(long, value_name = "FILE")]
    policy: Option<Utf8PathBuf>,
    /// Ignore the budgets and targets of the workspace in the current directory, which otherwise
    /// apply below its target directory
    #[arg(long)]
    no_workspace: bool,
    /// Write an HTML page to this file: a map of all bytes, changes, earlier releases
    #[arg(long, value_name = "FILE")]
    html: Option<Utf8PathBuf>,
    /// Earlier release for the page: a `dist.json`, or an image repository with version tags;
    /// repeatable
    #[arg(long, value_name = "SOURCE", requires = "html")]
    history: Vec<String>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Output on stdout
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: SizeFormat,
    #[command(flatten)]
    build: BuildArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SizeFormat {
    /// Text
    Human,
    /// JSON with a versioned schema
    Json,
    /// Tables for a comment or a job summary
    Markdown,
    /// Comma-separated values
    Csv,
}

impl ValueEnum for RowKind {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            RowKind::Crate,
            RowKind::DefiningCrate,
            RowKind::Module,
            RowKind::Symbol,
            RowKind::Section,
        ]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        use clap::builder::PossibleValue;
        Some(match self {
            RowKind::Crate => PossibleValue::new("crate").help("crates that code was compiled for"),
            RowKind::DefiningCrate => {
                PossibleValue::new("defining-crate").help("crates with the source of code")
            }
            RowKind::Module => PossibleValue::new("module"),
            RowKind::Symbol => PossibleValue::new("symbol").help("functions and variables"),
            RowKind::Section => PossibleValue::new("section").help("sections of the file"),
        })
    }
}

/// Measures sizes, and prints the report.
pub(super) fn run(cx: &Context, args: &SizeArgs, verbose: u8) -> Result<Status> {
    let shown = matches!(args.message_format, SizeFormat::Human | SizeFormat::Markdown)
        .then_some(DEFAULT_ROWS);
    let measured = ops::size::size(
        cx,
        &ops::size::SizeRequest {
            paths: args.paths.clone(),
            symbols: args.symbols.clone(),
            base: args.base.clone(),
            history: args.history.clone(),
            page: args.html.is_some(),
            view: View { by: args.by, top: args.top.or(shown), filter: args.filter.clone() },
            compressed: args.compressed,
            policy: args.policy.clone(),
            no_workspace: args.no_workspace,
            build: args.build.request(verbose),
            registry: args.registry.settings(),
        },
    )?;
    let size = &measured.size;
    if let (Some(path), Some(page)) = (&args.html, &measured.page) {
        fs::write(path, page.as_bytes())?;
        cx.status("Wrote", path.as_str());
    }
    match args.message_format {
        SizeFormat::Human => {
            super::print(&human(size))?;
            write_github_summary(cx, size)?;
        }
        SizeFormat::Json => super::json(size)?,
        SizeFormat::Markdown => super::print(&markdown(size))?,
        SizeFormat::Csv => super::print(&csv(size))?,
    }
    Ok(if size.accepted { Status::Done } else { Status::CheckFailed })
}

/// Writes the summary of the job in a step of GitHub Actions
/// (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>).
fn write_github_summary(cx: &Context, size: &crate::model::schema::Size) -> Result<()> {
    if cx.env.provider() != Some(Provider::Github) {
        return Ok(());
    }
    let Some(path) = cx.env.var("GITHUB_STEP_SUMMARY").map(Utf8Path::new) else {
        return Ok(());
    };
    let text = format!("{}\n", markdown(size));
    fs::append(path)?
        .write_all(text.as_bytes())
        .map_err(|error| fs::file_error("write", path, error))
}
