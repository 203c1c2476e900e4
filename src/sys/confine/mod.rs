//! Running an untrusted program: in separate namespaces, with an empty root, without privileges,
//! network or other processes, and within limits; or not at all.
//!
//! The running program starts itself again twice ([`crate::reenter`]). The outer helper makes the
//! namespaces. The inner one is the first process of the new PID namespace: it changes the root,
//! drops every privilege, starts the program, and reports what happened through a pipe that the
//! program does not have. When the inner helper ends, the kernel kills every process that the
//! program started.

#[cfg(target_os = "linux")]
mod inner;
#[cfg(target_os = "linux")]
mod outer;
#[cfg(target_os = "linux")]
mod raw;
mod root;

use camino::Utf8Path;

pub use self::root::Root;
#[cfg(target_os = "linux")]
pub(in crate::sys) use self::{inner::inner, outer::outer};
use crate::{
    model::{command::Command, error::Result},
    sys::{
        Context,
        process::{Input, Limits, Output, read_report},
        reentry,
    },
};

/// The argument by which the program is started as the outer helper.
pub(in crate::sys) const OUTER_VERB: &str = "longshore-confine";

/// The argument by which the program is started as the inner helper.
pub(in crate::sys) const INNER_VERB: &str = "longshore-confined";

/// The result of running a program.
#[derive(Debug)]
pub enum Outcome {
    /// It was started, and ended or was ended.
    Ran(Output),
    /// The system did not start it: the error of `execve`.
    NotStarted(std::io::Error),
    /// It cannot be confined here, and was not run.
    Unavailable(String),
}

/// A report of a helper.
#[derive(Debug, PartialEq, Eq)]
enum Report {
    /// The program cannot be confined, and why.
    Unavailable(String),
    /// The program could not be started: `errno`.
    NotStarted(i32),
    /// It was started.
    Started,
    /// It ended with a status.
    Exit(i32),
    /// A signal ended it.
    Signal(i32),
}

impl Report {
    /// Returns the line that is sent.
    #[cfg(target_os = "linux")]
    fn line(&self) -> String {
        match self {
            Report::Unavailable(why) => format!("unavailable {}\n", why.replace('\n', " ")),
            Report::NotStarted(errno) => format!("not-started {errno}\n"),
            Report::Started => "started 0\n".to_owned(),
            Report::Exit(code) => format!("exit {code}\n"),
            Report::Signal(signal) => format!("signal {signal}\n"),
        }
    }

    fn parse(line: &str) -> Option<Report> {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "unavailable" => Some(Report::Unavailable(rest.to_owned())),
            "not-started" => rest.parse().ok().map(Report::NotStarted),
            "started" => Some(Report::Started),
            "exit" => rest.parse().ok().map(Report::Exit),
            "signal" => rest.parse().ok().map(Report::Signal),
            _ => None,
        }
    }
}

/// Runs `argv`, paths in the directory `root`, with that directory as its root and with `PATH=/` as its
/// only environment variable.
///
/// # Errors
/// An interrupt came, or the helper could not be started.
pub fn run(cx: &Context, root: &Utf8Path, argv: &[String], limits: Limits) -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        let why = format!("{} has no namespaces to confine it in", std::env::consts::OS);
        return Ok(Outcome::Unavailable(why));
    }
    if let Err(error) = reentry::check_once(cx) {
        return Ok(Outcome::Unavailable(error.to_string()));
    }
    let (reader, writer) = match std::io::pipe() {
        Ok(pipe) => pipe,
        Err(error) => return Ok(Outcome::Unavailable(format!("no pipe can be made: {error}"))),
    };
    let seconds = limits.time.map_or(u64::MAX, |limit| limit.as_secs());
    let command = Command::new(cx.env.exe.as_str())
        .args(["zig", OUTER_VERB, "--"])
        .args([seconds.to_string(), root.to_string()])
        .args(argv.iter().cloned())
        .env_clear()
        .env("PATH", "/")
        .env(reentry::PROBE, OUTER_VERB);
    let output = cx.children.capture(&command, Input::Channel(writer), limits)?;
    let text = read_report(reader);
    let mut reports = text.lines().filter_map(Report::parse);
    Ok(match reports.next_back() {
        Some(Report::Unavailable(why)) => Outcome::Unavailable(why),
        Some(Report::NotStarted(errno)) => {
            Outcome::NotStarted(std::io::Error::from_raw_os_error(errno))
        }
        Some(Report::Exit(code)) => Outcome::Ran(ended(output, Some(code), None)),
        Some(Report::Signal(signal)) => Outcome::Ran(ended(output, None, Some(signal))),
        Some(Report::Started) if output.timed_out || output.excess => Outcome::Ran(output),
        // The helper was killed by someone else.
        Some(Report::Started) => Outcome::Ran(ended(output, None, Some(9))),
        None => {
            let how = output.ending();
            Outcome::Unavailable(format!("the helper process ended with {how}: {}", output.tail(3)))
        }
    })
}

/// Returns `output` with the program's own status instead of the helper's. A program that ends in the
/// moment in which a limit is enforced counts as ended by the limit.
fn ended(output: Output, code: Option<i32>, signal: Option<i32>) -> Output {
    if output.timed_out || output.excess {
        return output;
    }
    Output { code, signal, ..output }
}

#[cfg(not(target_os = "linux"))]
pub(in crate::sys) fn outer(_: &[std::ffi::OsString]) -> std::result::Result<(), String> {
    Err("programs are confined on Linux only".to_owned())
}

#[cfg(not(target_os = "linux"))]
pub(in crate::sys) fn inner(args: &[std::ffi::OsString]) -> std::result::Result<(), String> {
    outer(args)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::Report;

    #[test]
    fn reports_are_read_as_they_are_written() {
        for report in [
            Report::Unavailable("mount: Operation not permitted".to_owned()),
            Report::NotStarted(13),
            Report::Started,
            Report::Exit(127),
            Report::Signal(9),
        ] {
            let line = report.line();
            assert_eq!(Report::parse(line.trim_end()), Some(report));
        }
        assert_eq!(Report::parse("exit x"), None);
        assert_eq!(Report::parse(""), None);
    }
}
