//! Programs that are run are confined, or they are not run.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    dist::dist,
    support::{
        command::{LONGSHORE, plain},
        peer,
        workspace::Workspace,
    },
};

/// Writes a file outside of its root if it can, and then ends with 0; else with `CODE`.
const ESCAPES: &str = r#"
#include <fcntl.h>
#include <unistd.h>
int main(void) { return open(MARKER, O_CREAT | O_WRONLY, 0644) < 0 ? CODE : 0; }
"#;

/// Leaves a changed root by a directory that it has open.
const BREAKS_OUT: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
    int root = open("/", O_RDONLY | O_DIRECTORY);
    mkdir("x", 0755);
    chroot("x");
    fchdir(root);
    for (int i = 0; i < 64; i++) chdir("..");
    chroot(".");
    return open(MARKER, O_CREAT | O_WRONLY, 0644) < 0 ? 0 : 3;
}
"#;

/// Writes for ever.
const WRITES: &str = r#"
#include <string.h>
#include <unistd.h>
static char text[65536];
int main(void) { memset(text, 'y', sizeof text); for (;;) write(1, text, sizeof text); }
"#;

/// Ends at once, and leaves a process behind that keeps its pipes.
const DAEMON: &str = r#"
#include <unistd.h>
int main(void) { if (fork() == 0) { setsid(); if (fork() == 0) sleep(600); } return 0; }
"#;

/// A directory with programs of the host's C compiler, and a path that they must not write.
struct Programs {
    workspace: Workspace,
    gcc: PathBuf,
}

impl Programs {
    /// Returns `None` after saying that the test is skipped.
    fn new() -> Option<Self> {
        if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
            peer::skip("it runs programs for linux/amd64");
            return None;
        }
        let (gcc, _) = (peer::find("gcc")?, peer::find("qemu-x86_64-static")?);
        let workspace = Workspace::empty();
        fs::set_permissions(workspace.root(), fs::Permissions::from_mode(0o777)).unwrap();
        Some(Programs { workspace, gcc })
    }

    fn marker(&self) -> PathBuf {
        self.workspace.path("marker")
    }

    fn compile(&self, name: &str, source: &str, code: i32) -> &Self {
        self.workspace.write(&format!("{name}.c"), source);
        let mut command = Command::new(&self.gcc);
        command.args(["-w", "-O1", "-static-pie", "-fPIE", "-s", "-Wl,-z,now"]);
        command.arg(format!("-DMARKER={:?}", self.marker())).arg(format!("-DCODE={code}"));
        command.args([&format!("{name}.c"), "-o", name]).current_dir(self.workspace.root());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self
    }

    /// Returns the command `verify --run NAME`, started by `by`.
    fn verify(&self, by: &[&str], name: &str) -> Command {
        let mut words = by.iter().copied().chain([LONGSHORE, "verify", "--run", name]);
        let mut command = plain(words.next().unwrap());
        command.args(words).current_dir(self.workspace.root());
        command
    }

    /// Runs it; the marker must not be there. Gives what it printed.
    #[track_caller]
    fn check_output(&self, mut command: Command, status: i32) -> String {
        let output = command.output().unwrap();
        let text = all(&output);
        assert_eq!(output.status.code(), Some(status), "{command:?}: {text}");
        assert!(!self.marker().exists(), "{command:?}: {text}");
        text
    }
}

fn all(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A command in a user namespace in which no other can be made.
const NO_NAMESPACES: [&str; 6] = [
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"",
];

#[test]
fn a_status_of_126_or_127_is_that_of_the_program() {
    let Some(programs) = Programs::new() else { return };
    for code in [126, 127, 255] {
        programs.compile("escapes", ESCAPES, code);
        let text = programs.check_output(programs.verify(&[], "escapes"), 0);
        assert!(text.contains("accepted"), "{text}");
    }
    // It needs neither chroot(1) nor unshare(1).
    let bin = Workspace::empty();
    let qemu = peer::find("qemu-x86_64-static").unwrap();
    std::os::unix::fs::symlink(qemu, bin.path("qemu-x86_64-static")).unwrap();
    let mut command = programs.verify(&[], "escapes");
    command.env("PATH", bin.root());
    programs.check_output(command, 0);
}

#[test]
fn a_program_is_confined() {
    let Some(programs) = Programs::new() else { return };
    programs.compile("checks", include_str!("support/checks.c"), 0);
    programs.compile("breaks-out", BREAKS_OUT, 0);
    // Files that this process has open are not for it.
    let open = ["sh", "-c", "exec 9</ 8<. && exec \"$0\" \"$@\""];
    programs.check_output(programs.verify(&open, "checks"), 0);
    programs.check_output(programs.verify(&open, "breaks-out"), 0);
    // Nor does it need to be executable.
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(programs.workspace.path("checks"), mode).unwrap();
    programs.check_output(programs.verify(&[], "checks"), 0);
}

#[test]
fn a_program_is_confined_for_an_ordinary_user() {
    let Some(programs) = Programs::new() else { return };
    let (Some(_), Some(())) = (peer::find("setpriv"), peer::root()) else { return };
    programs.compile("checks", include_str!("support/checks.c"), 0);
    programs.compile("breaks-out", BREAKS_OUT, 0);
    // The build directory may be closed to others.
    let longshore = programs.workspace.path("longshore");
    fs::copy(LONGSHORE, &longshore).unwrap();
    for name in ["checks", "breaks-out"] {
        let mut command = plain("setpriv");
        command.args(["--reuid=65521", "--regid=65521", "--clear-groups"]).arg(&longshore);
        command.args(["verify", "--run", name]).current_dir(programs.workspace.root());
        command.env("LONGSHORE_CACHE_DIR", programs.workspace.root());
        programs.check_output(command, 0);
    }
}

#[test]
fn programs_that_cannot_be_confined_are_not_run() {
    let Some(programs) = Programs::new() else { return };
    let Some(_) = peer::find("unshare") else { return };
    programs.compile("escapes", ESCAPES, 127);
    let text = programs.check_output(programs.verify(&NO_NAMESPACES, "escapes"), 1);
    assert!(text.contains("deny runs: the program was not run"), "{text}");
    assert!(text.contains("namespaces cannot be created here (unshare: "), "{text}");
}

#[test]
fn failures_of_the_emulator_are_distinguished() {
    let Some(programs) = Programs::new() else { return };
    programs.compile("escapes", ESCAPES, 127).compile("fake", ESCAPES, 127);
    let emulator = programs.workspace.path("qemu-x86_64-static");
    let check_output = || {
        let mut command = programs.verify(&[], "escapes");
        command.env("PATH", programs.workspace.root());
        programs.check_output(command, 1)
    };
    // One that is dynamic, a script, no program at all, and one that runs no programs.
    fs::copy(peer::find("gcc").unwrap(), &emulator).unwrap();
    assert!(check_output().contains("only a static program starts there"));
    fs::write(&emulator, "#!/bin/sh\nexit 0\n").unwrap();
    assert!(check_output().contains("only a static program starts there"));
    fs::write(&emulator, "\u{7f}ELF").unwrap();
    assert!(check_output().contains("in an empty root: Exec format error"));
    fs::copy(programs.workspace.path("fake"), &emulator).unwrap();
    assert!(check_output().contains("cannot run the smallest program: exit status 127"));
}

#[test]
fn a_directory_for_temporary_files_without_programs() {
    let Some(programs) = Programs::new() else { return };
    let (Some(_), Some(())) = (peer::find("unshare"), peer::root()) else { return };
    programs.compile("escapes", ESCAPES, 127);
    fs::create_dir(programs.workspace.path("tmp")).unwrap();
    let script = "mount -t tmpfs -o noexec none tmp && TMPDIR=$PWD/tmp exec \"$0\" \"$@\"";
    let mount = ["unshare", "--mount", "--propagation=private", "sh", "-c", script];
    let text = programs.check_output(programs.verify(&mount, "escapes"), 1);
    assert!(text.contains("in an empty root: Permission denied"), "{text}");
    assert!(text.contains("mounted `noexec`"), "{text}");
}

#[test]
fn output_without_end_and_processes_left_behind() {
    let Some(programs) = Programs::new() else { return };
    programs.compile("writes", WRITES, 0).compile("daemon", DAEMON, 0);
    let start = Instant::now();
    let limited = ["sh", "-c", "ulimit -v 1000000 && exec \"$0\" \"$@\""];
    let text = programs.check_output(programs.verify(&limited, "writes"), 1);
    assert!(text.contains("deny runs: the program exceeded the limit on its output"), "{text}");
    assert!(text.len() < 4096, "{} bytes", text.len());
    let mut command = programs.verify(&[], "daemon");
    command.args(["--run-timeout", "300"]);
    programs.check_output(command, 0);
    assert!(start.elapsed() < Duration::from_secs(100), "{:?}", start.elapsed());
}

#[test]
fn emulators_run_the_smallest_programs() {
    use longshore::{
        binary::elf::{MINIMAL_STATUS, minimal_program},
        model::machine::Endian::{Big, Little},
    };
    let workspace = Workspace::empty();
    for (machine, class, endian, name) in [
        (3, 32, Little, "i386"),
        (8, 64, Little, "mips64el"),
        (21, 64, Little, "ppc64le"),
        (21, 64, Big, "ppc64"),
        (22, 64, Big, "s390x"),
        (40, 32, Little, "arm"),
        (62, 64, Little, "x86_64"),
        (183, 64, Little, "aarch64"),
        (243, 32, Little, "riscv32"),
        (243, 64, Little, "riscv64"),
        (258, 64, Little, "loongarch64"),
    ] {
        let Some(qemu) = peer::find(&format!("qemu-{name}-static")) else { continue };
        let program = workspace.path(name);
        fs::write(&program, minimal_program(machine, class, endian).unwrap()).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let output = peer::output(&qemu, [&program]);
        assert_eq!(output.status.code(), Some(MINIMAL_STATUS), "{name}: {}", all(&output));
    }
    assert_eq!(minimal_program(0, 64, Little), None);
}

const ONE: &str = "--target x86_64-unknown-linux-musl";

/// Reports what it sees of its surroundings, and the status in its source.
fn reporter(code: i32) -> String {
    format!(
        r#"
unsafe extern "C" {{ fn getuid() -> u32; fn getppid() -> i32; fn unshare(flags: i32) -> i32; }}
fn main() {{
    let files = std::fs::read_dir("/").unwrap().count();
    let tmp = std::fs::write("/tmp/x", "").is_err();
    let (user, parent) = unsafe {{ (getuid(), getppid()) }};
    // CLONE_NEWUSER: in a user namespace of its own it would have every capability.
    let namespace = unsafe {{ unshare(0x1000_0000) }};
    println!("user {{user}}, parent {{parent}}, {{files}} file, {{tmp}}, {{namespace}}, \u{{1b}}]0;x\u{{7}}##[error]x");
    println!("::error::second line");
    eprintln!("\u{{1b}}[2K::error::last line");
    eprintln!("::error::last line");
    std::process::exit({code});
}}
"#
    )
}

fn smoke(json: &Value) -> &Value {
    &json["artifacts"][0]["smoke"]
}

#[test]
fn smoke_tests_are_confined_too() {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return peer::skip("it runs a linux/amd64 binary");
    }
    let workspace = Workspace::hello().file("src/main.rs", &reporter(0));
    let ran = dist(&workspace, ONE).absent("\u{1b}").absent("not smoke-tested").run();
    let json = ran.json();
    let seen = "user 65532, parent 1, 1 file, true, -1, \\u{1b}]0;x\\u{7}\\u{23}#[error]x";
    assert_eq!(smoke(&json)["output"], seen);
    assert_eq!(smoke(&json)["empty-root"], true);
    assert!(ran.stderr.contains(seen), "{}", ran.stderr);
    // Its own status, whatever chroot(1) or a shell would mean by it.
    workspace.write("src/main.rs", &reporter(127));
    let json = dist(&workspace, ONE).stderr("ended with exit status 127").run().json();
    assert_eq!(
        (&smoke(&json)["outcome"], &smoke(&json)["exit-code"]),
        (&"ran".into(), &127.into())
    );
    // Where it crashes, its last lines are shown; a CI system takes none of them for a command.
    workspace.write("src/main.rs", &reporter(101));
    let ran = dist(&workspace, ONE).status(1).absent("\u{1b}").stderr("exit status 101").run();
    assert!(ran.stderr.contains("\\u{1b}[2K::error::last line"), "{}", ran.stderr);
    let command = |line: &str| line.trim_start().starts_with("::");
    assert!(!ran.stderr.lines().any(command), "{}", ran.stderr);
}

/// Returns the same command where no namespace can be created.
fn without_namespaces(unshare: &Path, workspace: &Workspace, command: &Command) -> Command {
    let args: Vec<_> = command.get_args().collect();
    // Before it may be a program that resets signals.
    let start = args.iter().position(|arg| *arg == LONGSHORE).map_or(0, |at| at + 1);
    let mut confined = plain(unshare);
    confined.args(&NO_NAMESPACES[1..]).arg(LONGSHORE).args(args.get(start..).unwrap());
    confined.current_dir(workspace.root()).env("CARGO_PROFILE_DIST_LTO", "off");
    confined
}

/// Completions come from the package's own program, whose build script ran on this machine, too.
#[test]
fn completions_that_cannot_be_confined_are_written_with_a_warning() {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return peer::skip("it runs a linux/amd64 binary");
    }
    let Some(unshare) = peer::find("unshare") else { return };
    let more =
        "[package.metadata.longshore]\ncompletions = { run = [\"complete\", \"{shell}\"] }\n";
    let workspace = Workspace::empty().package("hello", more);
    let warning = "warning: `hello` is run with the rights of this user: it cannot be confined";
    let all = |json: &Value| json["companions"].as_array().unwrap().len();
    let confined = dist(&workspace, ONE).absent(warning).run().json();
    assert!(all(&confined) > 0, "{confined:#}");
    let mut test = dist(&workspace, ONE).stderr(warning);
    test.command = without_namespaces(&unshare, &workspace, &test.command);
    assert_eq!(all(&test.run().json()), all(&confined));
}

#[test]
fn smoke_tests_that_cannot_be_confined_are_not_run() {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return peer::skip("it runs a linux/amd64 binary");
    }
    let Some(unshare) = peer::find("unshare") else { return };
    let workspace = Workspace::hello();
    let mut test = dist(&workspace, ONE)
        .stderr("warning: `hello` for linux/amd64 was not smoke-tested: it cannot be confined")
        .stderr("Not run linux/amd64 hello: ");
    test.command = without_namespaces(&unshare, &workspace, &test.command);
    let json = test.run().json();
    assert_eq!(smoke(&json)["outcome"], "not-run");
    assert!(smoke(&json)["reason"].as_str().unwrap().contains("namespaces"), "{json:#}");
}
