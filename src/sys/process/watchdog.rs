//! Kills the children of a process that was killed. Nothing runs in a process that gets SIGKILL, so
//! another one watches: it holds the reading end of a pipe, by which it learns the process groups of
//! the children, and at the end of which it knows that their parent is gone.
#![allow(clippy::disallowed_methods, reason = "the watchdog is a process, and reads its own input")]

use std::{
    collections::BTreeSet,
    io::{BufRead, Write},
    process::{ChildStdin, Stdio},
    sync::{Mutex, PoisonError},
};

use rustix::process::{Pid, Signal};

use super::group;
use crate::sys::reentry;

/// The argument by which the program is started as watchdog.
pub(in crate::sys) const VERB: &str = "longshore-watchdog";

/// The connection to the watchdog of this process.
static WATCHDOG: Mutex<WatchdogState> = Mutex::new(WatchdogState::Unused);

#[derive(Debug)]
enum WatchdogState {
    /// There was no child yet.
    Unused,
    Running(ChildStdin),
    /// It cannot be started, or was killed. Children are then only ended by this process.
    Unavailable,
}

/// Adds a process group to those that are killed.
pub(super) fn add(group: Pid) {
    send(&format!("+{}\n", group.as_raw_nonzero()), true);
}

/// Removes a process group, before its number can be used again.
pub(super) fn remove(group: Pid) {
    send(&format!("-{}\n", group.as_raw_nonzero()), false);
}

fn send(line: &str, start_it: bool) {
    let mut state = WATCHDOG.lock().unwrap_or_else(PoisonError::into_inner);
    if start_it && matches!(*state, WatchdogState::Unused) {
        *state = start().map_or(WatchdogState::Unavailable, WatchdogState::Running);
    }
    if let WatchdogState::Running(pipe) = &mut *state
        && pipe.write_all(line.as_bytes()).is_err()
    {
        *state = WatchdogState::Unavailable;
    }
}

/// Starts the watchdog, outside of the directory and the pipes of this process.
fn start() -> Option<ChildStdin> {
    let mut command = std::process::Command::new(reentry::program()?);
    command.args(["zig", VERB, "--"]).env(reentry::PROBE, VERB).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // It ends with this process, and is then reaped by init.
    command.spawn().ok()?.stdin
}

/// Returns the watchdog.
pub(in crate::sys) fn watch() -> Result<(), String> {
    // A signal to the group or the terminal of its parent is not for it.
    rustix::process::setsid().map_err(|error| format!("setsid: {error}"))?;
    let mut groups = BTreeSet::new();
    for line in std::io::stdin().lock().lines() {
        // A read error ends it like the end of the file.
        let Ok(line) = line else { break };
        let Some(group) = line.get(1..).and_then(|number| number.parse::<i32>().ok()) else {
            break;
        };
        if line.starts_with('+') {
            groups.insert(group);
        } else {
            groups.remove(&group);
        }
    }
    for group in groups.into_iter().filter_map(Pid::from_raw) {
        group::send(group, Signal::KILL);
    }
    Ok(())
}
