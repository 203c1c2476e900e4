//! Signals, time and output limits of children, and threads that cannot be started.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getpgid, kill_process, test_kill_process_group};

use crate::{
    failure::in_the_middle,
    support::{
        command::{LONGSHORE, longshore, plain},
        gate::{GATED, Gate},
        peer,
        workspace::Workspace,
    },
};

/// Far more than ending takes, and far less than the children below would run.
const SOON: Duration = Duration::from_secs(60);

fn script(workspace: &Workspace, name: &str, text: &str) -> std::path::PathBuf {
    workspace.write(name, text);
    let path = workspace.path(name);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn signals_that_are_ignored_stay_ignored() {
    for (name, signal) in [("HUP", Signal::HUP), ("INT", Signal::INT), ("QUIT", Signal::QUIT)] {
        let workspace = Workspace::hello().file("build.rs", GATED);
        let gate = Gate::new();
        let mut command = plain("sh");
        command.args(["-c", &format!("trap '' {name}; exec \"$0\" \"$@\""), LONGSHORE]);
        command.args(["build", "--preset", "quick", "--no-smoke"]);
        command.args(["--target", "x86_64-unknown-linux-musl"]);
        command.env("CARGO_PROFILE_DIST_LTO", "off").env("GATE", gate.dir());
        command.current_dir(workspace.root()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = command.spawn().unwrap();
        gate.reached();
        kill_process(Pid::from_raw(running.id().cast_signed()).unwrap(), signal).unwrap();
        gate.open();
        let output = running.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{name}: {stderr}");
    }
}

#[test]
fn a_killed_program_leaves_no_children() {
    for signal in [Signal::KILL, Signal::USR1] {
        let (_workspace, gate, mut running, script) = in_the_middle();
        let group = getpgid(Some(script)).unwrap();
        kill_process(Pid::from_raw(running.id().cast_signed()).unwrap(), signal).unwrap();
        running.wait().unwrap();
        gate.ended();
        while test_kill_process_group(group).is_ok() {
            std::thread::yield_now();
        }
    }
}

/// Returns a workspace, and a zig that reports its process and then ignores what asks it to end.
fn stubborn() -> (Workspace, std::process::Child, Pid) {
    let workspace = Workspace::hello();
    let fifo = workspace.path("ready");
    peer::run(Path::new("mkfifo"), [&fifo]);
    let text =
        format!("#!/bin/sh\ntrap '' TERM INT\necho $$ >{}\nsleep 600\nsleep 600\n", fifo.display());
    let zig = script(&workspace, "zig.sh", &text);
    let running = longshore(&workspace, "plan").env("CARGO_ZIGBUILD_ZIG_PATH", zig).spawn();
    // Opening waits for the script.
    let pid = fs::read_to_string(fifo).unwrap().trim().parse().unwrap();
    (workspace, running, Pid::from_raw(pid).unwrap())
}

#[test]
fn a_child_that_ignores_an_interrupt_is_killed() {
    for signals in [&[Signal::INT][..], &[Signal::INT, Signal::TERM]] {
        let (workspace, running, child) = stubborn();
        let start = Instant::now();
        let group = getpgid(Some(child)).unwrap();
        let pid = Pid::from_raw(running.id().cast_signed()).unwrap();
        for signal in signals {
            kill_process(pid, *signal).unwrap();
        }
        let output = running.wait_with_output().unwrap();
        longshore(&workspace, "").status(130).stderr("error: interrupted").check_output(&output);
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        while test_kill_process_group(group).is_ok() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_process_that_keeps_the_pipe_does_not_hang_anything() {
    let workspace = Workspace::hello();
    let zig = script(
        &workspace,
        "zig.sh",
        "#!/bin/sh\nsetsid sh -c 'echo $$ >\"$0.pid\"; exec sleep 600' \"$0\" &\n\
         while ! [ -s \"$0.pid\" ]; do :; done\necho 0.15.2\n",
    );
    let start = Instant::now();
    longshore(&workspace, "plan").env("CARGO_ZIGBUILD_ZIG_PATH", &zig).run();
    let elapsed = start.elapsed();
    // It left the group, and nothing waits for it.
    let pid = fs::read_to_string(workspace.path("zig.sh.pid")).unwrap();
    kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    assert!(elapsed < SOON, "{elapsed:?}");
}

#[test]
fn endless_output_of_a_helper_is_ended() {
    let workspace = Workspace::hello();
    let zig = script(&workspace, "zig.sh", "#!/bin/sh\nexec yes yes\n");
    let mut command = plain("sh");
    command.args(["-c", "ulimit -v 2000000 && exec \"$0\" \"$@\"", LONGSHORE, "plan"]);
    command.current_dir(workspace.root()).env("CARGO_ZIGBUILD_ZIG_PATH", zig);
    let output = command.output().unwrap();
    let test = longshore(&workspace, "").status(3).stderr("wrote more than 67.11 MB");
    let ran = test.check_output(&output);
    assert!(ran.stderr.len() < 4096, "{} bytes", ran.stderr.len());
}

#[test]
fn a_thread_that_cannot_be_started_is_an_error() {
    let (Some(prlimit), Some(setpriv), Some(())) =
        (peer::find("prlimit"), peer::find("setpriv"), peer::root())
    else {
        return;
    };
    let workspace = Workspace::hello();
    fs::set_permissions(workspace.root(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = workspace.path("longshore");
    fs::copy(LONGSHORE, &program).unwrap();
    for processes in 1..4 {
        let mut command: Command = plain(&setpriv);
        // No other process has this user.
        command.args(["--reuid=65523", "--regid=65523", "--clear-groups"]).arg(&prlimit);
        command.arg(format!("--nproc={processes}")).arg(&program).arg("doctor");
        command.current_dir(workspace.root()).env("LONGSHORE_HEARTBEAT", "60");
        command.env("LONGSHORE_CACHE_DIR", workspace.root());
        let output = command.output().unwrap();
        let test = longshore(&workspace, "").status(4).stderr("error: cannot start a thread: ");
        test.hint("raise the limits on processes and memory")
            .absent("panicked")
            .check_output(&output);
    }
}

#[test]
fn a_small_stack_is_enough() {
    let workspace = Workspace::hello();
    let mut command = plain("sh");
    command.args(["-c", "ulimit -s 128 && exec \"$0\" \"$@\"", LONGSHORE, "verify", LONGSHORE]);
    let output = command.current_dir(workspace.root()).output().unwrap();
    // What it finds does not matter here.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
}
