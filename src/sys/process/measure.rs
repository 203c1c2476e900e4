//! The time and memory of one run of a program. A helper process starts it: Linux counts the memory of the
//! process that starts a program as the program's (`ru_maxrss` in getrusage(2) is kept over execve(2)), and
//! the helper has little.
#![allow(clippy::disallowed_methods, reason = "the helper is a process, and starts the program")]

use std::{ffi::OsString, io::Write as _, process::Stdio, time::Duration};

use camino::Utf8Path;
use wait4::Wait4 as _;

use super::{KeepOutput, Limits, MAX_OUTPUT, Output};
use crate::{
    model::{
        command::Command,
        error::{Error, Result},
    },
    sys::{Context, clock::Stopwatch, reentry},
};

/// The argument by which the program is started as helper.
pub(in crate::sys) const VERB: &str = "longshore-measure";

/// The argument for a program that gets no network.
const OFFLINE: &str = "offline";

/// The bytes of the program's stderr that are kept for an error.
const MAX_ERRORS: usize = 64 << 10;

/// The time and memory of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The elapsed time.
    pub time: Duration,
    /// The time of processors, in user and system mode, with that of the children that it waited for.
    pub cpu: Duration,
    /// The most memory that one of these processes had, in bytes; at least that of the helper.
    pub memory: u64,
}

/// A run of a program.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The program.
    pub program: &'a str,
    /// Its arguments.
    pub args: &'a [String],
    /// The current directory.
    pub dir: &'a Utf8Path,
    /// Variables that are set.
    pub env: &'a [(&'a str, &'a str)],
    /// Whether it gets no network, if this system allows that.
    pub offline: bool,
    /// The time limit.
    pub limit: Duration,
    /// The option or setting that changes the limit, for an error.
    pub limit_hint: &'a str,
}

/// Runs a program without input and output.
///
/// # Errors
/// It cannot be started, fails, or takes longer; or an interrupt came.
pub fn measure(cx: &Context, run: &Run<'_>) -> Result<Usage> {
    reentry::check_once(cx)?;
    let Run { program, args, .. } = *run;
    let network = if run.offline { OFFLINE } else { "online" };
    let mut command = Command::new(cx.env.exe.as_str())
        .args(["zig", VERB, "--", network, program])
        .args(args.iter().cloned())
        .env(reentry::PROBE, VERB)
        .dir(run.dir);
    for (name, value) in run.env {
        command = command.env(*name, *value);
    }
    let keep = KeepOutput::Ends(MAX_ERRORS);
    let limits = Limits { time: Some(run.limit), output: MAX_OUTPUT, keep };
    let output = cx.children.output_within(&command, limits)?;
    read_answer(&output).map_err(|how| {
        let shown = Command::new(program).args(args.iter().cloned());
        let error = Error::check(format!("`{shown}` {how}")).detail(output.tail(5));
        if output.timed_out {
            error.hint(run.limit_hint)
        } else {
            error.hint("run the command in a shell: it has to succeed without input")
        }
    })
}

/// Reads what the helper wrote, else returns what happened to the program.
fn read_answer(output: &Output) -> std::result::Result<Usage, String> {
    let text = output.text();
    let words: Vec<&str> = text.split_whitespace().collect();
    match (&words[..], output.success()) {
        ([time, cpu, memory], true) => {
            let number = |word: &&str| word.parse().map_err(|_| "was measured wrongly".to_owned());
            let time = Duration::from_nanos(number(time)?);
            let cpu = Duration::from_micros(number(cpu)?);
            Ok(Usage { time, cpu, memory: number(memory)? })
        }
        (["ended", how @ ..], _) => Err(format!("ended with {}", how.join(" "))),
        (["start", why @ ..], _) => Err(format!("cannot be started: {}", why.join(" "))),
        _ => Err(format!("ended with {}", output.ending())),
    }
}

/// The helper: runs the program of the arguments, and writes nanoseconds, microseconds of processors, and bytes.
pub(in crate::sys) fn run(
    args: &[OsString],
    leave_network: fn(),
) -> std::result::Result<(), String> {
    let [network, program, args @ ..] = args.get(4..).unwrap_or_default() else {
        return Err("no program".to_owned());
    };
    if network == OFFLINE {
        leave_network();
    }
    let mut command = std::process::Command::new(program);
    command.args(args).env_remove(reentry::PROBE).stdin(Stdio::null()).stdout(Stdio::null());
    let watch = Stopwatch::start();
    let ended = command.spawn().and_then(|mut child| child.wait4());
    let time = watch.elapsed();
    let text = match ended {
        Err(error) => format!("start {error}"),
        Ok(ended) if !ended.status.success() => format!("ended {}", ended.status),
        Ok(ended) => {
            let cpu = ended.rusage.utime + ended.rusage.stime;
            format!("{} {} {}", time.as_nanos(), cpu.as_micros(), ended.rusage.maxrss)
        }
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
}
