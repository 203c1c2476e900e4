//! `verify`: its arguments and its reports.

use std::{io::Write, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::{assemble, registry::RegistryArgs};
use crate::{
    model::{
        error::{Error, Result, Status},
        platform::Platform,
        provider::Provider,
        schema::{Verification, dist::Level},
    },
    ops,
    sys::{Context, fs},
    verify::{self, format},
};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Binaries, archives, images (OCI layouts and archives, archives of `docker save`, in registries
    /// as `HOST/NAME:TAG` or `docker://NAME`), directories of these, or a `dist.json` [default:
    /// `target/dist` here or in a parent directory]
    #[arg(value_name = "PATH")]
    paths: Vec<Utf8PathBuf>,
    /// Check against the policy of this target [default: that recorded in a `dist.json`, or else no
    /// target]
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Also check against this policy file (docs/policy.md)
    #[arg(long, value_name = "FILE")]
    policy: Option<Utf8PathBuf>,
    /// Ignore the policies and targets of the workspace in the current directory, which otherwise
    /// apply below its target directory
    #[arg(long)]
    no_workspace: bool,
    /// Compare sizes with those in this `dist.json`
    #[arg(long, value_name = "FILE")]
    base: Option<Utf8PathBuf>,
    /// Check only images for this platform, such as `linux/arm64`; repeatable
    #[arg(long = "platform", value_name = "OS/ARCH")]
    platforms: Vec<Platform>,
    /// Run each program once, confined in an empty root, on its baseline CPU
    #[arg(long)]
    run: bool,
    /// Argument for these runs, instead of `--version`; repeatable
    #[arg(long, value_name = "ARG", requires = "run", allow_hyphen_values = true)]
    run_arg: Vec<String>,
    /// Seconds after which a run is killed
    #[arg(long, value_name = "SECONDS", requires = "run", default_value_t = 10)]
    run_timeout: u64,
    /// Treat this lint as an error; repeatable
    #[arg(long, value_name = "LINT", help_heading = LINTS)]
    deny: Vec<String>,
    /// Treat this lint as a warning; repeatable
    #[arg(long, value_name = "LINT", help_heading = LINTS)]
    warn: Vec<String>,
    /// Disable this lint; repeatable
    #[arg(long, value_name = "LINT", help_heading = LINTS)]
    allow: Vec<String>,
    /// Reject unsupported inputs: archives within archives, formats such as bzip2, and platforms
    /// that are missing in a layout
    #[arg(long, help_heading = LINTS)]
    deny_unchecked: bool,
    /// Explain this lint, its detection and its limitations; `all` for every lint
    #[arg(long, value_name = "LINT", help_heading = LINTS, conflicts_with = "paths")]
    explain: Option<String>,
    /// Also print the facts read from each file
    #[arg(long)]
    facts: bool,
    /// Require a signature by this key: a minisign public key (text or file), or a cosign key (file
    /// or URI of a key management service); repeatable
    #[arg(long = "signature", value_name = "KEY", help_heading = SIGNATURE)]
    signature: Vec<String>,
    /// Require a keyless cosign signature for this identity
    #[arg(long, value_name = "IDENTITY", help_heading = SIGNATURE, requires = "certificate_oidc_issuer")]
    certificate_identity: Option<String>,
    /// OpenID Connect issuer of that identity
    #[arg(long, value_name = "URL", help_heading = SIGNATURE, requires = "certificate_identity")]
    certificate_oidc_issuer: Option<String>,
    /// Pass this argument to cosign; repeatable
    #[arg(long = "cosign-arg", value_name = "ARG", help_heading = SIGNATURE, allow_hyphen_values = true)]
    cosign_args: Vec<String>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Output on stdout
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: ReportFormat,
}

const LINTS: &str = "Lints";
const SIGNATURE: &str = "Signatures";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// Text
    Human,
    /// JSON with a versioned schema
    Json,
    /// A table for a comment or a job summary
    Markdown,
    /// GitHub Actions annotations
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML
    Junit,
}

impl VerifyArgs {
    /// Returns the requested levels. One lint cannot have two.
    fn levels(&self) -> Result<Vec<(String, Level)>> {
        let mut levels: Vec<(String, Level)> = Vec::new();
        let given =
            [(&self.allow, Level::Allow), (&self.warn, Level::Warn), (&self.deny, Level::Deny)];
        for (ids, level) in given {
            for id in ids {
                if levels.iter().any(|(known, other)| known == id && *other != level) {
                    let message = format!("lint `{id}` is given two levels");
                    return Err(Error::usage(message)
                        .hint("keep one of `--deny`, `--warn` and `--allow` for it"));
                }
                levels.push((id.clone(), level));
            }
        }
        Ok(levels)
    }
}

/// Returns the last release, as a user would name it.
fn default_path(cx: &Context) -> Result<Utf8PathBuf> {
    let found = assemble::dist(cx, None)?;
    Ok(found.strip_prefix(&cx.env.dir).map(Utf8Path::to_path_buf).unwrap_or(found))
}

/// Verifies, and prints the verdicts.
pub(super) fn run(cx: &Context, args: &VerifyArgs) -> Result<Status> {
    if let Some(id) = &args.explain {
        let text = if id == "all" { verify::page() } else { verify::explain(id)? };
        super::print(&text)?;
        return Ok(Status::Done);
    }
    let paths = match args.paths.as_slice() {
        [] => vec![default_path(cx)?],
        paths => paths.to_vec(),
    };
    let verification = ops::verify::verify(
        cx,
        &ops::verify::VerifyRequest {
            paths,
            target: args.target.clone(),
            policy: args.policy.clone(),
            no_workspace: args.no_workspace,
            base: args.base.clone(),
            run: args.run.then(|| ops::verify::RunOptions {
                args: match args.run_arg.is_empty() {
                    true => vec!["--version".to_owned()],
                    false => args.run_arg.clone(),
                },
                limit: Duration::from_secs(args.run_timeout),
            }),
            levels: args.levels()?,
            facts: args.facts,
            platforms: args.platforms.clone(),
            deny_unchecked: args.deny_unchecked,
            digests: args.message_format == ReportFormat::Json,
            signature: ops::verify::RequestedSignatures {
                keys: args.signature.clone(),
                identity: args
                    .certificate_identity
                    .clone()
                    .zip(args.certificate_oidc_issuer.clone()),
                args: args.cosign_args.clone(),
            },
            registry: args.registry.settings(),
        },
    )?;
    match args.message_format {
        ReportFormat::Human => {
            super::print(&format::human(&verification))?;
            write_github_summary(cx, &verification)?;
        }
        ReportFormat::Json => super::json(&verification)?,
        ReportFormat::Markdown => super::print(&format::markdown(&verification))?,
        ReportFormat::Github => super::raw(&format::annotations(&verification))?,
        ReportFormat::Sarif => super::json(&format::sarif(&verification))?,
        ReportFormat::Junit => super::print(&format::junit(&verification))?,
    }
    Ok(if verification.accepted { Status::Done } else { Status::CheckFailed })
}

/// Writes annotations and the summary of the job in a step of GitHub Actions
/// (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>).
fn write_github_summary(cx: &Context, verification: &Verification) -> Result<()> {
    if cx.env.provider() != Some(Provider::Github) {
        return Ok(());
    }
    super::raw(&format::annotations(verification))?;
    let Some(path) = cx.env.var("GITHUB_STEP_SUMMARY").map(Utf8Path::new) else {
        return Ok(());
    };
    let text = format!("{}\n", format::markdown(verification));
    let written = fs::append(path)?.write_all(text.as_bytes());
    written.map_err(|error| fs::file_error("write", path, error))
}
