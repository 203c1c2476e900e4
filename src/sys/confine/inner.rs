//! The inner helper: the first process of the PID namespace. It changes the root, drops every
//! privilege, and runs the program as its child.
#![allow(clippy::disallowed_methods, reason = "a helper process, which starts the program")]

use std::{ffi::OsString, fs, io::Write, os::unix::process::ExitStatusExt, process::Stdio};

use rustix::{
    fs::{Mode, OFlags, StatVfsMountFlags, openat, statvfs},
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount_bind, mount_change, mount_remount,
        unmount,
    },
    net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with},
    process::{
        DumpableBehavior, Gid, Resource, Rlimit, Signal, Uid, chdir, getrlimit, pivot_root,
        set_dumpable_behavior, set_parent_process_death_signal, setrlimit, setsid,
    },
    system::sethostname,
    thread::{
        CapabilitySet, CapabilitySets, UnshareFlags, capabilities, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
        set_thread_res_gid, set_thread_res_uid,
    },
};

use super::{
    HelperReport,
    outer::{Channel, step_error},
    raw,
};

/// The user and the group of the program: those of images made by the built-in recipe.
pub(super) const ID: u32 = 65_532;

/// The resources that the program may use.
const LIMITS: [(Resource, u64); 5] = [
    (Resource::Core, 0),
    // The root is read-only; this is for files in memory.
    (Resource::Fsize, 64 << 20),
    (Resource::Nofile, 1024),
    // Older kernels count all processes of the user, those outside as well.
    (Resource::Nproc, 4096),
    // Emulators reserve far more addresses than they use, which `RLIMIT_AS` would count.
    (Resource::Data, 4 << 30),
];

/// Runs as the inner helper. `args` are all arguments of the process; after `--` come the kind of the
/// namespaces, the outer helper's process, the time limit in seconds, the root, and the program with
/// its arguments.
pub(in crate::sys) fn inner(args: &[OsString]) -> Result<(), String> {
    let mut channel = Channel::open()?;
    // The root of the program has no `/proc`.
    let proc = fs::File::open("/proc").map_err(|error| format!("`/proc`: {error}"))?;
    let text = |index: usize| args.get(index).and_then(|arg| arg.to_str()).unwrap_or_default();
    let mapped = text(4) == "mapped";
    let (seconds, root) = (text(6).parse().unwrap_or(u64::MAX), text(7));
    let program = args.get(8..).unwrap_or_default();
    let prepared = end_with_parent(Some(text(5)))
        .and_then(|()| prepare(root, seconds))
        .and_then(|nothing| drop_privileges(mapped, &proc).map(|()| nothing));
    let nothing = match prepared {
        Ok(nothing) => nothing,
        Err(why) => {
            channel.send(&HelperReport::Unavailable(why));
            return Ok(());
        }
    };
    let Some((path, args)) = program.split_first() else {
        return Err("there is no program to run".to_owned());
    };
    let mut command = std::process::Command::new(path);
    command.args(args).env_clear().env("PATH", "/").stdin(Stdio::from(nothing));
    // The error is that of `execve` in the child, which the standard library reports by a pipe that
    // a successful `execve` closes.
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            channel.send(&HelperReport::NotStarted(error.raw_os_error().unwrap_or_default()));
            return Ok(());
        }
    };
    channel.send(&HelperReport::Started);
    let status = child.wait().map_err(|error| format!("wait: {error}"))?;
    channel.send(&match status.signal() {
        Some(signal) => HelperReport::Signal(signal),
        None => HelperReport::Exit(status.code().unwrap_or_default()),
    });
    Ok(())
}

/// Ends this process with its parent, and with it everything in the namespace. `parent`, the process
/// that has to be the parent still, is given as long as `/proc` is there.
fn end_with_parent(parent: Option<&str>) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| step_error("prctl", error))?;
    let Some(parent) = parent else { return Ok(()) };
    // `getppid` is 0 for a parent outside of the namespace; this `/proc` is that of the outside.
    let status = fs::read_to_string("/proc/self/status");
    let status = status.map_err(|error| format!("cannot read `/proc/self/status`: {error}"))?;
    let found = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    if found.map(str::trim) == Some(parent) { Ok(()) } else { Err("interrupted".to_owned()) }
}

/// Makes `root` the root, and sets the limits. Gives the null device, which the root does not have.
fn prepare(root: &str, seconds: u64) -> Result<fs::File, String> {
    let nothing = fs::File::open("/dev/null").map_err(|error| format!("`/dev/null`: {error}"))?;
    change_root(root)?;
    // Failures of these steps are not fatal.
    let _ = sethostname(b"localhost");
    let _ = enable_loopback();
    for (resource, most) in LIMITS {
        limit(resource, most).map_err(|error| step_error("setrlimit", error))?;
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    // More than it can use before the time limit.
    let processor_time = seconds.saturating_add(1).saturating_mul(processors);
    limit(Resource::Cpu, processor_time).map_err(|error| step_error("setrlimit", error))?;
    setsid().map_err(|error| step_error("setsid", error))?;
    Ok(nothing)
}

fn change_root(root: &str) -> Result<(), String> {
    let failed = |call: &str, error: Errno| {
        format!("an empty root cannot be mounted here ({})", step_error(call, error))
    };
    // No mount made here is seen outside.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| failed("mount", error))?;
    mount_bind(root, root).map_err(|error| failed("mount", error))?;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    let current = statvfs(root).map_err(|error| failed("statvfs", error))?.f_flag;
    // A user namespace must not remove it, and it is what the administrator decided.
    if current.contains(StatVfsMountFlags::NOEXEC) {
        flags |= MountFlags::NOEXEC;
    }
    mount_remount(root, flags, c"").map_err(|error| failed("remount", error))?;
    chdir(root).map_err(|error| failed("chdir", error))?;
    // The old root ends up on top of the new one (pivot_root(2), "pivot_root(".", ".")").
    pivot_root(".", ".").map_err(|error| failed("pivot_root", error))?;
    unmount(".", UnmountFlags::DETACH).map_err(|error| failed("umount", error))?;
    chdir("/").map_err(|error| failed("chdir", error))
}

/// Sets the flag `IFF_UP` of the loopback device, the only one of the namespace, so that a server can
/// listen on it (rtnetlink(7), `RTM_NEWLINK`).
fn enable_loopback() -> rustix::io::Result<()> {
    let mut message = Vec::with_capacity(32);
    message.extend(32_u32.to_ne_bytes()); // length
    message.extend(16_u16.to_ne_bytes()); // RTM_NEWLINK
    message.extend(1_u16.to_ne_bytes()); // NLM_F_REQUEST
    message.extend([0; 8]); // sequence number, port
    message.extend([0; 4]); // family, padding, type
    message.extend(1_u32.to_ne_bytes()); // index
    message.extend(1_u32.to_ne_bytes()); // flags: IFF_UP
    message.extend(1_u32.to_ne_bytes()); // which of them change
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    send(&socket, &message, SendFlags::empty()).map(drop)
}

/// Lowers a limit; one that is lower stays.
fn limit(resource: Resource, most: u64) -> rustix::io::Result<()> {
    let old = getrlimit(resource);
    let lower = |old: Option<u64>| Some(old.map_or(most, |old| old.min(most)));
    setrlimit(resource, Rlimit { current: lower(old.current), maximum: lower(old.maximum) })
}

/// Becomes an unprivileged user without capabilities, for good. `proc` is a `/proc` of the outside.
fn drop_privileges(mapped: bool, proc: &fs::File) -> Result<(), String> {
    drop_bounding_set()?;
    // In a user namespace it is the user already, and its groups belong to no user there.
    if !mapped {
        let (user, group) = (Uid::from_raw(ID), Gid::from_raw(ID));
        set_thread_groups(&[]).map_err(|error| step_error("setgroups", error))?;
        set_thread_res_gid(group, group, group).map_err(|error| step_error("setresgid", error))?;
        set_thread_res_uid(user, user, user).map_err(|error| step_error("setresuid", error))?;
        enter_user_namespace(proc)?;
    }
    clear_ambient_capability_set().map_err(|error| step_error("prctl", error))?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none).map_err(|error| step_error("capset", error))?;
    set_no_new_privs(true).map_err(|error| step_error("prctl", error))?;
    if capabilities(None) != Ok(none) {
        return Err("the capabilities of the program cannot be dropped".to_owned());
    }
    // The program, which is the same user, must not be able to trace this process.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| step_error("prctl", error))?;
    // A change of the user has reset it.
    end_with_parent(None)
}

fn drop_bounding_set() -> Result<(), String> {
    for bit in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
            Ok(()) => {}
            // The kernel has no more of them.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(step_error("prctl", error)),
        }
    }
    Ok(())
}

/// Enters a user namespace in which no other one can be created, since a program has all capabilities
/// in one that it creates. If the user cannot create this one, neither can the program.
fn enter_user_namespace(proc: &fs::File) -> Result<(), String> {
    // The files in `/proc/self` belong to root since the user changed.
    set_dumpable_behavior(DumpableBehavior::Dumpable)
        .map_err(|error| step_error("prctl", error))?;
    if raw::unshare(UnshareFlags::NEWUSER).is_err() {
        return Ok(());
    }
    let write = |path: &str, text: &str| {
        let file = openat(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        let mut file = fs::File::from(file?);
        file.write_all(text.as_bytes())
    };
    let map = format!("{ID} {ID} 1");
    for (path, text) in [("setgroups", "deny"), ("uid_map", &map), ("gid_map", &map)] {
        write(&format!("self/{path}"), text).map_err(|error| {
            format!("a user namespace cannot be set up here (`/proc/self/{path}`: {error})")
        })?;
    }
    // As in `outer`, nothing is lost where this cannot be set.
    let _ = write("sys/user/max_user_namespaces", "0");
    drop_bounding_set()
}
