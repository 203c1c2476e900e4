//! The outer helper: makes the namespaces, and starts the inner helper in them.
#![allow(clippy::disallowed_methods, reason = "a helper process, which starts another one")]

use std::{ffi::OsString, fs, io::Write, os::fd::OwnedFd};

use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    process::{Signal, getegid, geteuid, set_parent_process_death_signal},
    thread::{
        CapabilitySet, CapabilitySets, UnshareFlags, capabilities,
        configure_capability_in_ambient_set, set_capabilities,
    },
};

use super::{HelperReport, INNER_VERB, inner::ID, raw};

/// A channel for reports to the process that requested the run. It arrives as standard input.
#[derive(Debug)]
pub(super) struct Channel(fs::File);

impl Channel {
    pub(super) fn open() -> Result<Self, String> {
        let fd = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
        let fd: OwnedFd = fd.map_err(|error| format!("no report can be sent: {error}"))?;
        Ok(Channel(fd.into()))
    }

    /// Sends one report. Its reader may be gone; there is no other process to report that to.
    pub(super) fn send(&mut self, report: &HelperReport) {
        let _ = self.0.write_all(report.to_line().as_bytes());
    }
}

/// Runs as the outer helper. `args` are all arguments of the process, of which the first four are the
/// program's name, `zig`, the verb, and `--`.
pub(in crate::sys) fn outer(args: &[OsString]) -> Result<(), String> {
    let mut channel = Channel::open()?;
    if let Err(why) = confine(args.get(4..).unwrap_or_default()) {
        channel.send(&HelperReport::Unavailable(why));
    }
    Ok(())
}

fn confine(args: &[OsString]) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| step_error("prctl", e))?;
    close_inherited()?;
    // If memory runs out, this process is to be killed first. Not every container allows setting this.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let mapped = unshare()?;
    let program = std::env::current_exe().map_err(|error| format!("`/proc`: {error}"))?;
    let mut command = std::process::Command::new(program);
    command.args(["zig", INNER_VERB, "--", if mapped { "mapped" } else { "root" }]);
    command.arg(std::process::id().to_string()).args(args);
    let status = command.status();
    status.map(drop).map_err(|error| format!("the helper process cannot be started: {error}"))
}

pub(super) fn step_error(call: &str, error: Errno) -> String {
    format!("{call}: {}", std::io::Error::from(error))
}

/// Lets no program have a file that this process inherited.
fn close_inherited() -> Result<(), String> {
    let unreadable = |error| format!("cannot read `/proc/self/fd`: {error}");
    for entry in fs::read_dir("/proc/self/fd").map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let number: Option<i32> = name.to_str().and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|number| *number > 2) {
            raw::close_on_exec(number).map_err(|error| step_error("fcntl", error))?;
        }
    }
    Ok(())
}

/// Makes the namespaces; `true` if a user namespace is among them. Root needs none, unless it is the
/// root of a container without privileges.
fn unshare() -> Result<bool, String> {
    let namespaces = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    let (user, group) = (geteuid(), getegid());
    if user.is_root() && has_other_users() && raw::unshare(namespaces).is_ok() {
        return Ok(false);
    }
    raw::unshare(namespaces | UnshareFlags::NEWUSER).map_err(|error| {
        format!("namespaces cannot be created here ({})", step_error("unshare", error))
    })?;
    let write = |path: &str, text: String| {
        let failed = |error| format!("a user namespace cannot be set up here (`{path}`: {error})");
        fs::write(path, text).map_err(failed)
    };
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{ID} {} 1", user.as_raw()))?;
    write("/proc/self/gid_map", format!("{ID} {} 1", group.as_raw()))?;
    // A program in there needs no further namespaces. If this cannot be set, nothing is lost: it would
    // have capabilities over nested namespaces only.
    let _ = fs::write("/proc/sys/user/max_user_namespaces", "0");
    keep_capabilities().map_err(|error| step_error("capset", error))?;
    Ok(true)
}

/// Leaves the network of this process, and of those that it starts, if the system allows that. The user and all files
/// are as before.
pub(in crate::sys) fn leave_network() {
    let (user, group) = (geteuid(), getegid());
    if raw::unshare(UnshareFlags::NEWNET).is_ok()
        || raw::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWUSER).is_err()
    {
        return;
    }
    // Without these, files have the same owners, and the process another name.
    for (path, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{user} {user} 1", user = user.as_raw())),
        ("/proc/self/gid_map", format!("{group} {group} 1", group = group.as_raw())),
    ] {
        let _ = fs::write(path, text);
    }
}

/// Returns whether root can become the user of the program: the root of a container may be its only
/// user.
fn has_other_users() -> bool {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let contains_id = |map: String| {
        map.lines().any(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u64>);
            let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
            let (Some(Ok(first)), Some(Ok(count))) = (first, count) else { return false };
            (first..first.saturating_add(count)).contains(&u64::from(ID))
        })
    };
    contains_id(read("/proc/self/uid_map"))
        && contains_id(read("/proc/self/gid_map"))
        && read("/proc/self/setgroups").trim() == "allow"
}

/// Lets the inner helper, which is not root in the user namespace, keep the capabilities there.
fn keep_capabilities() -> rustix::io::Result<()> {
    let sets = capabilities(None)?;
    set_capabilities(None, CapabilitySets { inheritable: sets.permitted, ..sets })?;
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if sets.permitted.contains(capability) {
            configure_capability_in_ambient_set(capability, true)?;
        }
    }
    Ok(())
}
