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

use std::{ffi::OsString, io::Write, path::Path};

pub use self::compiler::{ZigTarget, compiler, environment};
use crate::sys::{
    confine,
    process::{measure, rust_lld, rustc, watchdog, zig},
    reentry,
};

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
        finish(rustc::start_rustc(&args));
    }
    if args.get(1).is_none_or(|arg| arg != "zig") {
        reentry::set_answers();
        return;
    }
    let verb = args.get(2).and_then(|arg| arg.to_str()).unwrap_or_default();
    finish(match verb {
        reentry::VERB => write_out(&std::env::var(reentry::PROBE).unwrap_or_default()),
        watchdog::VERB => watchdog::watch(),
        measure::VERB => measure::run(&args, confine::leave_network),
        confine::OUTER_VERB => confine::outer(&args),
        confine::INNER_VERB => confine::inner(&args),
        "cc" | "c++" => zig::start_zig(verb, args.get(3..).unwrap_or_default()),
        rust_lld::VERB => rust_lld::start_rust_lld(args.get(3..).unwrap_or_default()),
        other => Err(format!("unknown zig tool `{other}`")),
    });
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
