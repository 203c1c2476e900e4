//! Other people's programs that our outputs must please.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use longshore::{
    model::event::Silent,
    sys::{Context, toolchain},
};

use super::{command::plain, workspace::Workspace};

/// The programs that tests start, and the packages that contain them.
pub(crate) const LIST: &str = include_str!("peers.txt");

/// Returns whether the program `name` is in the list of programs that tests start, which `cargo xtask test`
/// installs.
pub(crate) fn listed(name: &str) -> bool {
    LIST.lines().any(|line| line.split_whitespace().next() == Some(name))
}

/// Returns the program `name`, or nothing after saying that the running test is skipped. Where `CI` is `true`,
/// every peer must be there. It must be listed, so that no machine has it by accident.
#[track_caller]
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    assert!(listed(name), "`{name}` is not in tests/it/support/peers.txt; hint: add it");
    // Servers are often outside of a user's PATH.
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|dir: PathBuf| dir.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("`{name}` is not installed"));
    }
    found
}

/// Says that the running test is skipped, and why; fails it where `CI` is `true`.
pub(crate) fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed");
    assert!(
        !env::var("CI").is_ok_and(|ci| ci == "true"),
        "{test} cannot be skipped in CI: {reason}"
    );
    eprintln!("skip: {test}: {reason}");
}

/// Returns whether tests may take many minutes (`LONGSHORE_SLOW_TESTS=1`); says so where they may not.
pub(crate) fn slow() -> bool {
    let slow = env::var("LONGSHORE_SLOW_TESTS").is_ok_and(|slow| slow == "1");
    if !slow {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("unnamed");
        eprintln!("skip: {test}: part of it is only done with `LONGSHORE_SLOW_TESTS=1`");
    }
    slow
}

/// Returns whether this is root, or nothing after saying that the running test is skipped.
pub(crate) fn root() -> Option<()> {
    if rustix::process::geteuid().is_root() {
        return Some(());
    }
    skip("it needs root");
    None
}

/// crane, as `crane.sh` unpacks it.
pub(crate) fn crane() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/crane/root");
    let crane = root.join("usr/bin/crane");
    if !crane.is_file() {
        skip("run `sh tests/it/support/crane.sh target/peers/crane` first");
        return None;
    }
    Some(crane)
}

/// cosign 2 and 3, those that are there, as `cosign.sh` unpacks them.
pub(crate) fn cosigns() -> Vec<PathBuf> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let mut found = Vec::new();
    for (name, suite) in [("cosign2", "trixie"), ("cosign3", "forky")] {
        let cosign = peers.join(name).join("root/usr/bin/cosign");
        match cosign.is_file() {
            true => found.push(cosign),
            false => skip(&format!(
                "run `sh tests/it/support/cosign.sh target/peers/{name} {suite}` first"
            )),
        }
    }
    found
}

/// The kernel's readiness to start arm64 programs by qemu, for as long as this value is there.
#[derive(Debug)]
pub(crate) struct Binfmt {
    _private: (),
}

const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// The number of tests that currently need the kernel's entry, and whether the first one made it: the last one
/// removes it then.
static BINFMT_USERS: Mutex<(usize, bool)> = Mutex::new((0, false));

impl Binfmt {
    /// Returns `None` if the kernel is not ready and cannot be made so (binfmt_misc of the kernel's
    /// administration guide).
    pub(crate) fn arm64() -> Option<Self> {
        let mut users = BINFMT_USERS.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, ours) = &mut *users;
        if *count == 0 {
            *ours = register_arm64()?;
        }
        *count += 1;
        Some(Binfmt { _private: () })
    }
}

/// Makes the kernel's entry for arm64; returns whether there was none.
fn register_arm64() -> Option<bool> {
    let known = || {
        let entries = std::fs::read_dir(BINFMT).ok()?;
        let names = entries.flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.into_string().ok()).find(|n| n.starts_with("qemu-aarch64"))
    };
    if !cfg!(target_arch = "x86_64") || known().is_some() {
        return Some(false);
    }
    root()?;
    let qemu = find("qemu-aarch64-static")?;
    let register = Path::new(BINFMT).join("register");
    if !register.exists() {
        let mut mount = Command::new("mount");
        mount.args(["-t", "binfmt_misc", "binfmt_misc", BINFMT]);
        // If it fails, so does the next step.
        drop(mount.output());
    }
    // ELF, 64 bits, little-endian, a program, for AArch64; opened now (`F`), so that it is there
    // in any root.
    let line = format!(
        ":qemu-aarch64:M::\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:\
         \\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:{}:F",
        qemu.display()
    );
    if let Err(error) = std::fs::write(&register, line) {
        skip(&format!("the kernel starts no programs of arm64: {error}"));
        return None;
    }
    Some(true)
}

impl Drop for Binfmt {
    fn drop(&mut self) {
        let mut users = BINFMT_USERS.lock().unwrap_or_else(PoisonError::into_inner);
        users.0 -= 1;
        if *users == (0, true) {
            drop(std::fs::write(Path::new(BINFMT).join("qemu-aarch64"), "-1"));
        }
    }
}

/// Runs `program` to its end.
pub(crate) fn output<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> Output {
    let mut command = Command::new(program);
    command.args(args);
    command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// Returns the output of `program`; it must succeed.
pub(crate) fn run<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> String {
    let mut command = Command::new(program);
    command.args(args);
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// Returns the directory of cargo's registry.
pub(crate) fn cargo_home() -> PathBuf {
    home("CARGO_HOME", ".cargo")
}

/// Returns the directory of rustup's toolchains.
pub(crate) fn rustup_home() -> PathBuf {
    home("RUSTUP_HOME", ".rustup")
}

/// Returns the directory of zig's cache.
pub(crate) fn zig_cache() -> PathBuf {
    home("ZIG_GLOBAL_CACHE_DIR", ".cache/zig")
}

fn home(variable: &str, below: &str) -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(below);
    env::var_os(variable).map_or_else(home, PathBuf::from)
}

/// Returns the zig that longshore finds, or fetches first.
pub(crate) fn zig() -> PathBuf {
    static ZIG: OnceLock<PathBuf> = OnceLock::new();
    let zig = ZIG.get_or_init(|| {
        let cx = Context::new(Arc::new(Silent)).unwrap();
        let rust = toolchain::rust::find(&cx, "rustc").unwrap();
        let zig = toolchain::zig::provide(&cx, &rust.version, false).unwrap();
        assert!(zig.args.is_empty(), "{zig} is no single program");
        zig.program.into()
    });
    zig.clone()
}

/// Writes `Cargo.lock` from what cargo has in its registry: the fixtures' dependencies are also
/// longshore's.
pub(crate) fn lock(workspace: &Workspace) {
    let mut command = plain("cargo");
    command.args(["generate-lockfile", "--offline"]).current_dir(workspace.root());
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// check-jsonschema: on `PATH`, or as `cargo xtask test` unpacks it.
pub(crate) fn check_jsonschema() -> Option<Command> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/check-jsonschema");
    if dir.join("check_jsonschema").exists() {
        let mut command = Command::new(find("python3")?);
        command.env("PYTHONPATH", dir).args(["-m", "check_jsonschema"]);
        return Some(command);
    }
    find("check-jsonschema").map(Command::new)
}
