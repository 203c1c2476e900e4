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

pub use self::root::ProgramRoot;
#[cfg(target_os = "linux")]
pub(in crate::sys) use self::{
    inner::inner,
    outer::{leave_network, outer},
};
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
pub enum RunOutcome {
    /// It was started, and ended or was ended.
    Ran(Output),
    /// The system did not start it: the error of `execve`.
    NotStarted(std::io::Error),
    /// It cannot be confined here, and was not run.
    Unavailable(String),
}

/// A report of a helper.
#[derive(Debug, PartialEq, Eq)]
enum HelperReport {
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

impl HelperReport {
    /// Returns the line that is sent.
    #[cfg(target_os = "linux")]
    fn to_line(&self) -> String {
        match self {
            HelperReport::Unavailable(why) => format!("unavailable {}\n", why.replace('\n', " ")),
            HelperReport::NotStarted(errno) => format!("not-started {errno}\n"),
            HelperReport::Started => "started 0\n".to_owned(),
            HelperReport::Exit(code) => format!("exit {code}\n"),
            HelperReport::Signal(signal) => format!("signal {signal}\n"),
        }
    }

    fn parse(line: &str) -> Option<HelperReport> {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "unavailable" => Some(HelperReport::Unavailable(rest.to_owned())),
            "not-started" => rest.parse().ok().map(HelperReport::NotStarted),
            "started" => Some(HelperReport::Started),
            "exit" => rest.parse().ok().map(HelperReport::Exit),
            "signal" => rest.parse().ok().map(HelperReport::Signal),
            _ => None,
        }
    }
}

/// Runs `argv`, paths in the directory `root`, with that directory as its root and with `PATH=/` as its
/// only environment variable.
///
/// # Errors
/// An interrupt came, or the helper could not be started.
pub fn run(cx: &Context, root: &Utf8Path, argv: &[String], limits: Limits) -> Result<RunOutcome> {
    if !cfg!(target_os = "linux") {
        let why = format!("{} has no namespaces to confine it in", std::env::consts::OS);
        return Ok(RunOutcome::Unavailable(why));
    }
    if let Err(error) = reentry::check_once(cx) {
        return Ok(RunOutcome::Unavailable(error.to_string()));
    }
    let (reader, writer) = match std::io::pipe() {
        Ok(pipe) => pipe,
        Err(error) => return Ok(RunOutcome::Unavailable(format!("no pipe can be made: {error}"))),
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
    let mut reports = text.lines().filter_map(HelperReport::parse);
    Ok(match reports.next_back() {
        Some(HelperReport::Unavailable(why)) => RunOutcome::Unavailable(why),
        Some(HelperReport::NotStarted(errno)) => {
            RunOutcome::NotStarted(std::io::Error::from_raw_os_error(errno))
        }
        Some(HelperReport::Exit(code)) => {
            RunOutcome::Ran(with_program_status(output, Some(code), None))
        }
        Some(HelperReport::Signal(signal)) => {
            RunOutcome::Ran(with_program_status(output, None, Some(signal)))
        }
        Some(HelperReport::Started) if output.timed_out || output.excess => RunOutcome::Ran(output),
        // The helper was killed by someone else.
        Some(HelperReport::Started) => RunOutcome::Ran(with_program_status(output, None, Some(9))),
        None => {
            let how = output.ending();
            RunOutcome::Unavailable(format!(
                "the helper process ended with {how}: {}",
                output.tail(3)
            ))
        }
    })
}

/// Returns `output` with the program's own status instead of the helper's. A program that ends in the
/// moment in which a limit is enforced counts as ended by the limit.
fn with_program_status(output: Output, code: Option<i32>, signal: Option<i32>) -> Output {
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

/// Does nothing: other systems have no networks of one process.
#[cfg(not(target_os = "linux"))]
pub(in crate::sys) fn leave_network() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::HelperReport;

    #[test]
    fn reports_are_read_as_they_are_written() {
        for report in [
            HelperReport::Unavailable("mount: Operation not permitted".to_owned()),
            HelperReport::NotStarted(13),
            HelperReport::Started,
            HelperReport::Exit(127),
            HelperReport::Signal(9),
        ] {
            let line = report.to_line();
            assert_eq!(HelperReport::parse(line.trim_end()), Some(report));
        }
        assert_eq!(HelperReport::parse("exit x"), None);
        assert_eq!(HelperReport::parse(""), None);
    }
}
