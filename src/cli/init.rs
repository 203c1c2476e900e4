//! `init`: its arguments, its questions and its output.

use camino::Utf8PathBuf;
use clap::Args;

use super::{args::Format, json, print};
use crate::{
    build::config::tool::RequestedTool,
    model::{
        error::{Error, Result, Status},
        provider::Provider,
        reference::Reference,
        schema::{Init, init::InitAction},
    },
    ops::init::{self, InitRequest, InitState},
    sys::{Context, registry::Settings, terminal},
};

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Accept the defaults, without questions
    #[arg(short, long)]
    yes: bool,
    /// Print what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// CI system; repeatable [default: that of the git remote, or else GitHub]
    #[arg(long = "provider", value_name = "NAME", conflicts_with = "no_ci")]
    providers: Vec<Provider>,
    /// Write no CI files
    #[arg(long)]
    no_ci: bool,
    /// Write no xtask
    #[arg(long)]
    no_xtask: bool,
    /// Write a `Dockerfile.release` with the content of the built-in one
    #[arg(long)]
    image: bool,
    /// Repository that releases push the image to
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<Reference>,
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<Utf8PathBuf>,
    /// Source of longshore: `archive=URL`, `wheel=URL`, `npm=URL`, `deb=URL`, `git=URL#COMMIT`, or
    /// `path=DIRECTORY` [default: the commit that `cargo install` built this program from]
    #[arg(long, value_name = "SOURCE", help_heading = TOOL)]
    tool: Option<RequestedTool>,
    /// Version of longshore in that file [default: that of this program]
    #[arg(long, value_name = "VERSION", help_heading = TOOL, requires = "tool")]
    tool_version: Option<String>,
    /// Also trust the certificates in this file; repeatable
    #[arg(long = "ca", value_name = "FILE", help_heading = TOOL)]
    ca: Vec<Utf8PathBuf>,
    /// Output on stdout: the changes of `--dry-run`, or a report
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
}

const TOOL: &str = "Source of longshore";

impl InitArgs {
    fn request(&self) -> InitRequest {
        InitRequest {
            providers: self.providers.clone(),
            ci: !self.no_ci,
            xtask: !self.no_xtask,
            tool: self.tool.clone(),
            tool_version: self.tool_version.clone(),
            image: self.image,
            repository: self.repository.as_ref().map(Reference::to_string),
            server: Settings { ca: self.ca.clone(), ..Settings::default() },
        }
    }
}

pub(super) fn run(cx: &Context, args: &InitArgs) -> Result<Status> {
    let mut request = args.request();
    let state = init::inspect(cx, args.manifest_path.as_deref())?;
    let interactive = !args.yes && !args.dry_run;
    if interactive {
        ask(cx, &state, &mut request)?;
    }
    let plan = init::plan(cx, &state, &request)?;
    let report = plan.report(args.dry_run);
    for note in &report.notes {
        cx.warn(note);
    }
    for file in report.files.iter().filter(|file| file.action == InitAction::Keep) {
        cx.status("Keeping", format!("`{}`: {}", file.path, file.reason));
    }
    let report = if plan.is_done() {
        cx.status("Fresh", "nothing to write: every file is there");
        report
    } else if args.dry_run {
        report
    } else {
        if interactive {
            confirm(cx, &report)?;
        }
        let report = init::write(cx, &plan)?;
        cx.status("Finished", next_step(&report));
        report
    };
    match args.message_format {
        Format::Json => json(&report)?,
        Format::Human if args.dry_run => {
            let changes = report.files.iter().filter_map(|file| file.difference.as_deref());
            print(&changes.collect::<String>())?;
        }
        Format::Human => {}
    }
    Ok(Status::Done)
}

fn next_step(report: &Init) -> String {
    let has_xtask = report.files.iter().any(|file| file.path.starts_with("xtask/"));
    let command = if has_xtask { "cargo xtask" } else { "cargo longshore" };
    format!("init; `{command} dist` builds a release; commit the files")
}

/// Prompts for what the command line does not say and the workspace does not have.
fn ask(cx: &Context, state: &InitState, request: &mut InitRequest) -> Result<()> {
    if request.ci && request.providers.is_empty() && !state.has_ci() {
        let (provider, reason) = match &state.provider {
            Some((provider, reason)) => (*provider, format!(", from {reason}")),
            None => (Provider::Github, String::new()),
        };
        let names = Provider::ALL.map(Provider::name).join(", ");
        let text = format!("CI system: {names} or none [{provider}{reason}]: ");
        request.ci = question(cx, &text, |answer| match answer {
            "" => Some(Some(provider)),
            "none" => Some(None),
            name => Provider::ALL.into_iter().find(|known| known.name() == name).map(Some),
        })?
        .map(|provider| request.providers.push(provider))
        .is_some();
    }
    if (request.ci || request.xtask)
        && request.tool.is_none()
        && state.installed.is_none()
        && !state.has_tool()
    {
        let text = "Source of longshore, such as `archive=URL` or `git=URL#COMMIT`: ";
        request.tool = Some(question(cx, text, |answer| answer.parse().ok())?);
    }
    if request.ci && request.repository.is_none() && !state.has_ci() && !state.has_repository() {
        let text = "Repository of the image, such as `ghcr.io/me/tool` [none]: ";
        request.repository = question(cx, text, |answer| match answer {
            "" => Some(None),
            name => name.parse::<Reference>().ok().map(|name| Some(name.to_string())),
        })?;
    }
    Ok(())
}

/// Lists the files, and prompts for agreement.
fn confirm(cx: &Context, report: &Init) -> Result<()> {
    let mut text = String::new();
    for file in &report.files {
        let verb = match file.action {
            InitAction::Create => "create",
            InitAction::Extend => "extend",
            InitAction::Unchanged | InitAction::Keep => continue,
        };
        text += &format!("  {verb} {}\n", file.path);
    }
    text += "Write these files? [Y/n]: ";
    let accepted = question(cx, &text, |answer| match answer.to_ascii_lowercase().as_str() {
        "" | "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    })?;
    if accepted { Ok(()) } else { Err(Error::usage("nothing was written, as answered")) }
}

/// Prompts until the answer is understood.
fn question<T>(cx: &Context, text: &str, read: impl Fn(&str) -> Option<T>) -> Result<T> {
    if !terminal::can_prompt() {
        return Err(Error::usage("`init` has questions, and stdin is not a terminal")
            .hint("`--yes` accepts the defaults, and `--dry-run` prints what would be written"));
    }
    loop {
        if let Some(answer) = read(&terminal::prompt_line(cx, text)?) {
            return Ok(answer);
        }
    }
}
