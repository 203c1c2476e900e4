//! zig as linker and C compiler.
//!
//! Cargo and C builds call a script, which starts the running program again (`<program> zig cc …`), so
//! that it translates the arguments for zig. Every program that builds with longshore has to answer:
//! [`reenter`] does, as the first line of `main`.
#![allow(
    clippy::disallowed_methods,
    reason = "re-entry happens before anything else, and ends the process"
)]

mod compiler;

use std::{
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

pub use self::compiler::{Target, compiler, environment};
use crate::{
    model::{
        command::Command,
        error::{Error, Result},
    },
    sys::{
        Context, confine,
        process::{rustc, watchdog, zig},
    },
};

/// Whether [`reenter`] was called in this process.
static ANSWERS: AtomicBool = AtomicBool::new(false);

/// Set for children of which only an answer is expected.
pub(super) const PROBE: &str = "LONGSHORE_REENTRY_PROBE";

const PROBE_VERB: &str = "longshore-probe";

/// Answers when this process was started as linker wrapper, and then never returns; returns at once
/// otherwise. It has to be the first line of `main` of every program that builds with longshore.
///
/// ```no_run
/// longshore::reenter();
/// ```
pub fn reenter() {
    let args: Vec<OsString> = std::env::args_os().collect();
    let name = args.first().map(Path::new).and_then(Path::file_stem).and_then(|s| s.to_str());
    if name == Some(rustc::NAME) {
        finish(rustc::start(&args));
    }
    if args.get(1).is_none_or(|arg| arg != "zig") {
        ANSWERS.store(true, Ordering::SeqCst);
        return;
    }
    let verb = args.get(2).and_then(|arg| arg.to_str()).unwrap_or_default();
    finish(match verb {
        PROBE_VERB => write_out(&std::env::var(PROBE).unwrap_or_default()),
        watchdog::VERB => watchdog::watch(),
        confine::OUTER_VERB => confine::outer(&args),
        confine::INNER_VERB => confine::inner(&args),
        "cc" | "c++" => zig::start(verb, args.get(3..).unwrap_or_default()),
        other => Err(format!("unknown zig tool `{other}`")),
    });
}

/// Returns the running program, if it answers when it is started again as a helper.
pub(super) fn program() -> Option<PathBuf> {
    ANSWERS.load(Ordering::SeqCst).then(|| std::env::current_exe().ok()).flatten()
}

fn finish(result: Result<(), String>) -> ! {
    if let Err(message) = &result {
        let _ = writeln!(std::io::stderr(), "error: {message}");
    }
    std::process::exit(i32::from(result.is_err()))
}

fn write_out(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}

/// Fails when this program would not answer as linker wrapper, before anything is built.
///
/// # Errors
/// It does not; the line to add is in the hint.
pub fn check_reentry(cx: &Context) -> Result<()> {
    let line = "make `longshore::reenter();` the first line of `main`";
    let exe = &cx.env.exe;
    if cx.env.var(PROBE).is_some() {
        // We are the child of the check below, and came this far: the line is in the wrong place.
        return Err(
            Error::usage(format!("`{exe}` started a build while it was asked to link")).hint(line)
        );
    }
    let unfit =
        |how: &str| Error::usage(format!("`{exe}` cannot be the linker wrapper: {how}")).hint(line);
    if !ANSWERS.load(Ordering::SeqCst) {
        return Err(unfit("it never calls `longshore::reenter`"));
    }
    let token = format!("longshore-{}", std::process::id());
    let probe =
        Command::new(exe.as_str()).args(["zig", PROBE_VERB, "--"]).env(PROBE, token.as_str());
    let output = cx.children.output(&probe)?;
    if output.text() != token {
        return Err(unfit("it does other things before it calls `longshore::reenter`"));
    }
    Ok(())
}

/// Checks like [`check_reentry`]; a program that was found to answer is not started again for that.
///
/// # Errors
/// As [`check_reentry`].
pub(super) fn check_reentry_once(cx: &Context) -> Result<()> {
    static CHECKED: AtomicBool = AtomicBool::new(false);
    if !CHECKED.load(Ordering::SeqCst) {
        check_reentry(cx)?;
        CHECKED.store(true, Ordering::SeqCst);
    }
    Ok(())
}
