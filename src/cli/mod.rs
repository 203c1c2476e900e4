//! The command line: converts arguments to requests, and prints events and results.

mod args;
mod assemble;
mod cache;
mod ci;
mod comment;
mod image;
mod init;
mod merge;
mod output;
mod package;
mod push;
mod registry;
mod release;
mod repo;
mod report;
mod reproduce;
mod sign;
mod size;
mod stdout;
mod tune;
mod verify;
mod watch;

use std::{ffi::OsString, process::ExitCode, sync::Arc};

use clap::{CommandFactory, FromArgMatches};

use self::{
    args::{Cli, Format, Verb},
    output::Output,
    stdout::{json, print, print_all, raw},
};
use crate::{
    model::error::{Result, Status},
    ops,
    sys::{Context, env::Env, signal},
};

/// The stack of the thread that does the work: the usual one of a main thread, which `ulimit -s` may
/// have made too small.
const STACK: usize = 8 << 20;

/// Runs one command line and returns the exit status. The first argument is the program's name, as in
/// [`std::env::args_os`]. The caller's `main` must begin with [`crate::reenter`].
///
/// ```no_run
/// # longshore::reenter();
/// let words = ["xtask", "dist", "--target", "x86_64-unknown-linux-musl"];
/// let status = longshore::run(words.map(Into::into));
/// ```
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let work = || run_here(args.clone());
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // Operations that need a thread report its absence; few do.
            Err(_) => work(),
        }
    })
}

fn run_here(mut args: Vec<OsString>) -> ExitCode {
    // `cargo longshore dist` starts `cargo-longshore longshore dist`.
    if args.get(1).is_some_and(|arg| arg == "longshore") {
        args.remove(1);
    }
    let name = name(args.first());
    let command = Cli::command().name(name.clone()).bin_name(name);
    let parsed = command.try_get_matches_from(args).and_then(|found| Cli::from_arg_matches(&found));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are requested and end with 0, everything else is wrong usage.
            let _ = error.print();
            let requested = !error.use_stderr();
            return exit(if requested { Status::Done } else { Status::Usage });
        }
    };
    let env = Env::read();
    let output = Output::new(cli.color, cli.verbose, cli.quiet, env.as_ref().ok());
    let output = Arc::new(output);
    let result = env.and_then(|env| {
        let cx = Context::with_env(env, output.clone());
        let _signals = signal::watch(&cx.children)?;
        let _watch = watch::watch(&cx, &output)?;
        let result = dispatch(&cx, &cli);
        // What changes files or a registry checks for an interrupt before it does so, and a success
        // of it is one. Whatever else an operation makes of an interrupt, that is why it ended.
        match result {
            Ok(Status::Done) if !only_reads(&cli.verb) => Ok(Status::Done),
            result => cx.children.check().and(result),
        }
    });
    let status = result.unwrap_or_else(|error| {
        output.error(&error);
        error.status()
    });
    output.done(status);
    exit(status)
}

/// Returns whether a verb only reads and reports.
fn only_reads(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Plan { .. } | Verb::Verify(_) | Verb::Size(_) | Verb::Tune(_) | Verb::Doctor { .. }
    )
}

fn exit(status: Status) -> ExitCode {
    ExitCode::from(status.code())
}

/// Returns the name of the program in help and errors: the command that the user typed.
fn name(program: Option<&OsString>) -> String {
    let program = program.map(std::path::Path::new).and_then(|path| path.file_stem());
    match program.and_then(|name| name.to_str()) {
        Some("xtask") => "cargo xtask".to_owned(),
        _ => "cargo longshore".to_owned(),
    }
}

fn dispatch(cx: &Context, cli: &Cli) -> Result<Status> {
    match &cli.verb {
        Verb::Plan { build, format } => {
            let planned = ops::dist::plan::plan(cx, &build.request(cli.verbose))?;
            match format.message_format {
                Format::Json => json(&planned.plan)?,
                Format::Human => print(&report::plan(&planned.plan))?,
            }
            Ok(Status::Done)
        }
        Verb::Dist { build, push_by_digest, registry, format } => {
            let request = build.request(cli.verbose);
            let (dist, pushed) = match push_by_digest {
                None => (ops::dist::dist(cx, &request)?, None),
                Some(repository) => {
                    let settings = registry.settings();
                    let done = ops::merge::dist_and_push(cx, &request, repository, &settings)?;
                    (done.0, Some(done.1))
                }
            };
            match (format.message_format, pushed) {
                (Format::Json, _) => json(&dist)?,
                (Format::Human, Some(pushed)) => print(&push::digest_lines(&pushed))?,
                (Format::Human, None) => {}
            }
            Ok(Status::Done)
        }
        Verb::Build { build, format } => {
            let dist = ops::dist::build(cx, &build.request(cli.verbose))?;
            if format.message_format == Format::Json {
                json(&dist)?;
            }
            Ok(Status::Done)
        }
        Verb::Verify(args) => verify::run(cx, args),
        Verb::Cache(args) => cache::run(cx, args),
        Verb::Ci(args) => ci::run(cx, args),
        Verb::Image(args) => image::run(cx, args),
        Verb::Init(args) => init::run(cx, args),
        Verb::Merge(args) => merge::run(cx, args),
        Verb::Push(args) => push::run(cx, args),
        Verb::Release(args) => release::run(cx, args),
        Verb::Package(args) => package::run(cx, args),
        Verb::Reproduce(args) => reproduce::run(cx, args, cli.verbose),
        Verb::Sign(args) => sign::run(cx, args),
        Verb::Size(args) => size::run(cx, args, cli.verbose),
        Verb::Tune(args) => tune::run(cx, args, cli.verbose),
        Verb::Doctor { targets, rust_src, format } => {
            let request = crate::build::request::BuildRequest {
                targets: targets.clone(),
                rust_src: rust_src.clone(),
                ..Default::default()
            };
            let doctor = ops::doctor::doctor(cx, &request)?;
            match format.message_format {
                Format::Json => json(&doctor)?,
                Format::Human => print(&report::doctor(&doctor))?,
            }
            Ok(if doctor.healthy { Status::Done } else { Status::MissingTool })
        }
    }
}
