//! Failures of a build: each has its status and its hint, and the previous output is unchanged.

use std::{fs, os::unix::process::ExitStatusExt as _, path::Path};

use rustix::process::{Pid, Signal, getpgid, kill_process, test_kill_process_group};

use crate::{
    dist::dist,
    support::{
        command::{LONGSHORE, Test, plain},
        gate::{GATED, Gate},
        peer,
        tree::tree,
        workspace::Workspace,
    },
};

/// One target is enough to fail.
const ONE: &str = "--target x86_64-unknown-linux-musl";

/// Runs `test`, which fails, and holds that the output of before is untouched, and nothing half
/// made is left.
#[track_caller]
fn keeps_the_previous_output(workspace: &Workspace, test: Test) -> String {
    let before = tree(&workspace.dist());
    assert!(!before.is_empty());
    let ran = test.run();
    intact(workspace, &before);
    ran.stderr
}

#[track_caller]
fn intact(
    workspace: &Workspace,
    before: &std::collections::BTreeMap<std::path::PathBuf, crate::support::tree::Entry>,
) {
    assert_eq!(&tree(&workspace.dist()), before);
    for left in ["dist.partial", "dist.old"] {
        assert!(!workspace.path("target").join(left).exists(), "{left}");
    }
}

#[test]
fn a_c_dependency_that_does_not_compile() {
    let workspace = Workspace::members(&["app", "native-part"], "");
    dist(&workspace, &format!("{ONE} -p app --no-smoke")).run();
    let manifest = fs::read_to_string(workspace.path("app/Cargo.toml")).unwrap();
    workspace.write(
        "app/Cargo.toml",
        &format!("{manifest}[dependencies]\nnative-part.path = \"../native-part\"\n"),
    );
    let manifest = fs::read_to_string(workspace.path("native-part/Cargo.toml")).unwrap();
    workspace
        .write("native-part/Cargo.toml", &format!("{manifest}[build-dependencies]\ncc = \"1\"\n"));
    workspace.write("native-part/src/lib.rs", "");
    workspace.write(
        "native-part/build.rs",
        "fn main() { cc::Build::new().file(\"broken.c\").compile(\"broken\"); }\n",
    );
    workspace.write("native-part/broken.c", "int broken( {\n");
    peer::lock(&workspace);
    let log = workspace.path("target/dist.failed/logs/build.log");
    let test = dist(&workspace, &format!("{ONE} -p app"))
        .status(4)
        .stderr("error: cannot build `native-part v0.1.0`: cargo ended with exit status 101\n")
        .stderr("`native-part v0.1.0` was being built, which `app v0.1.0` needs")
        .stderr("broken.c:1:13: error: expected parameter declarator")
        .hint(&format!("the complete log is `{}`", log.display()));
    keeps_the_previous_output(&workspace, test);
    let text = fs::read_to_string(log).unwrap();
    assert!(text.contains("broken.c"), "{text}");
    // Mended, it goes on, and what the failure left goes.
    workspace.write("native-part/broken.c", "int mended(void) { return 0; }\n");
    dist(&workspace, &format!("{ONE} -p app --no-smoke")).run();
    assert!(!workspace.path("target/dist.failed").exists());
}

#[test]
fn rust_that_does_not_compile() {
    let workspace = Workspace::hello();
    dist(&workspace, &format!("{ONE} --no-smoke")).run();
    workspace.write("src/main.rs", "fn main() { no_such_function() }\n");
    let test = dist(&workspace, ONE)
        .status(4)
        .stderr("error: cannot build `hello v0.1.0`: cargo ended with exit status 101")
        .stderr("cannot find function `no_such_function`");
    keeps_the_previous_output(&workspace, test);
    workspace.remove("Cargo.lock");
    let test = dist(&workspace, ONE).status(4).hint("`Cargo.lock` is missing or old");
    keeps_the_previous_output(&workspace, test);
}

#[test]
fn a_binary_that_does_not_run() {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return peer::skip("it runs a linux/amd64 binary");
    }
    let workspace = Workspace::hello();
    dist(&workspace, ONE).run();
    workspace.write("src/main.rs", "fn main() { panic!(\"no luck\") }\n");
    let test = dist(&workspace, ONE)
        .status(1)
        .stderr("`hello --version` for `x86_64-unknown-linux-musl` does not run")
        .stderr("exit status 101")
        .stderr("no luck");
    keeps_the_previous_output(&workspace, test);
    workspace.write("src/main.rs", "fn main() { std::process::abort() }\n");
    let test = dist(&workspace, ONE).status(1).stderr("signal 6");
    keeps_the_previous_output(&workspace, test);
    // Where nobody said which arguments are right, one that refuses them has still started.
    workspace.write("src/main.rs", "fn main() { std::process::exit(64) }\n");
    dist(&workspace, ONE).stderr("started, and ended with exit status 64").run();
    let manifest = fs::read_to_string(workspace.path("Cargo.toml")).unwrap();
    let smoke = "[package.metadata.longshore]\nsmoke = [\"help\"]\n";
    workspace.write("Cargo.toml", &format!("{manifest}{smoke}"));
    let test = dist(&workspace, ONE)
        .status(1)
        .stderr("`hello help`")
        .hint("set `smoke` in `[package.metadata.longshore]`");
    keeps_the_previous_output(&workspace, test);
    dist(&workspace, &format!("{ONE} --no-smoke")).run();
}

#[test]
fn a_binary_that_does_not_end_is_ended() {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return peer::skip("it runs a linux/amd64 binary");
    }
    let metadata = "[workspace.metadata.longshore]\nsmoke-timeout = 1\n";
    let workspace = Workspace::empty().package("hello", metadata);
    workspace.write("src/main.rs", "fn main() { loop { std::thread::park() } }\n");
    dist(&workspace, ONE).stderr("was still running when its time was up").run();
}

/// Returns a program that drags a shared library along.
fn with_a_shared_library() -> Workspace {
    Workspace::hello()
        .file(
            "build.rs",
            r#"
use std::{env, process::Command};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let cc = env::var(format!("CC_{}", env::var("TARGET").unwrap().replace('-', "_"))).unwrap();
    let library = format!("{out}/libpart.so");
    let made = Command::new(cc).args(["-shared", "-o", &library, "part.c"]).status().unwrap();
    assert!(made.success());
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-lib=dylib=part");
}
"#,
        )
        .file("part.c", "int part(void) { return 7; }\n")
        .file(
            "src/main.rs",
            "extern \"C\" { fn part() -> i32; }\nfn main() { println!(\"{}\", unsafe { part() }) }\n",
        )
}

#[test]
fn dynamic_binaries_are_rejected_and_nothing_is_packed() {
    let workspace = with_a_shared_library();
    let test = dist(&workspace, ONE)
        .status(1)
        .stderr("error: 1 of 1 binaries rejected; nothing was packed")
        .stderr("deny static")
        .stderr("DT_NEEDED")
        .stderr("libpart.so")
        .absent("Packed");
    test.run();
    assert!(!workspace.dist().exists());
    let failed = workspace.path("target/dist.failed");
    assert!(failed.join("linux/amd64/bin/hello").exists());
    assert!(!failed.join("image").exists());
    assert!(!failed.join("dist.json").exists());
}

#[test]
fn without_network_and_zig() {
    let workspace = Workspace::hello();
    let cache = Workspace::empty();
    // What cargo itself needs, and no zig, no python.
    let tools = Workspace::empty();
    for tool in ["cargo", "rustc", "cc", "git"] {
        if let Some(path) = peer::find(tool) {
            std::os::unix::fs::symlink(path, tools.path(tool)).unwrap();
        }
    }
    dist(&workspace, &format!("{ONE} --offline"))
        .env("PATH", tools.root())
        .env("LONGSHORE_CACHE_DIR", cache.root())
        .env_remove("CARGO_ZIGBUILD_ZIG_PATH")
        .status(3)
        .stderr("error: zig is missing, and `--offline` keeps it from being fetched")
        .hint("run once without `--offline`, or install zig")
        .absent("Building")
        .run();
    dist(&workspace, ONE)
        .env("PATH", tools.root())
        .env("LONGSHORE_CACHE_DIR", cache.root())
        .env_remove("CARGO_ZIGBUILD_ZIG_PATH")
        .status(3)
        .stderr("zig is missing and cannot be fetched")
        .stderr("`python3` is not there")
        .run();
    assert!(!workspace.dist().exists());
}

/// Returns a workspace with an output, and a `dist` of it that stands in its build script.
pub(crate) fn in_the_middle() -> (Workspace, Gate, std::process::Child, Pid) {
    let workspace = Workspace::hello().file("build.rs", GATED);
    dist(&workspace, &format!("{ONE} --no-smoke")).run();
    let gate = Gate::new();
    let running = dist(&workspace, &format!("{ONE} --no-smoke")).env("GATE", gate.dir()).spawn();
    let script = gate.reached();
    (workspace, gate, running, script)
}

#[test]
fn an_interrupt_ends_the_children_and_leaves_the_output() {
    for signal in [Signal::INT, Signal::TERM, Signal::QUIT] {
        let (workspace, gate, running, script) = in_the_middle();
        let before = tree(&workspace.dist());
        let group = getpgid(Some(script)).unwrap();
        let pid = Pid::from_raw(running.id().cast_signed()).unwrap();
        assert_ne!(group, getpgid(Some(pid)).unwrap(), "children have a group of their own");
        kill_process(pid, signal).unwrap();
        let ended = running.wait_with_output().unwrap();
        dist(&workspace, "").status(130).stderr("error: interrupted").check_output(&ended);
        gate.ended();
        // The last of the group may be on its way out, but nothing is left that could go on.
        while test_kill_process_group(group).is_ok() {
            std::thread::yield_now();
        }
        intact(&workspace, &before);
    }
}

#[test]
fn a_killed_dist_keeps_the_old_output() {
    let (workspace, gate, mut running, script) = in_the_middle();
    let before = tree(&workspace.dist());
    let group = getpgid(Some(script)).unwrap();
    running.kill().unwrap();
    assert_eq!(running.wait().unwrap().signal(), Some(9));
    assert_eq!(tree(&workspace.dist()), before);
    // cargo and its build script are killed, too, by the watchdog.
    gate.ended();
    while test_kill_process_group(group).is_ok() {
        std::thread::yield_now();
    }
    dist(&workspace, &format!("{ONE} --no-smoke")).run();
    assert!(!workspace.path("target/dist.partial").exists());
}

/// A shell script for a mount name space of its own: $1 is the directory that becomes a small file
/// system, the rest the command. Says how the second run ended, and whether the output differs.
const FULL: &str = r#"
mount -t tmpfs -o size=96m none "$1" || exit 99
target=$1
shift
"$@" >/dev/null || exit 98
(cd "$target/dist" && find . -type f -exec sha256sum {} + | sort) >before
echo 'fn main() { println!("changed"); }' >src/main.rs
dd if=/dev/zero of="$target/fill" bs=64k 2>/dev/null
"$@"
echo "status $?"
(cd "$target/dist" && find . -type f -exec sha256sum {} + | sort) >after
cmp before after && echo same
"#;

#[test]
fn a_full_disk() {
    let (Some(unshare), Some(())) = (peer::find("unshare"), peer::root()) else {
        return;
    };
    if cfg!(not(target_os = "linux")) {
        return peer::skip("it mounts a tmpfs");
    }
    let workspace = Workspace::hello();
    fs::create_dir(workspace.path("target")).unwrap();
    let mut command = plain(&unshare);
    command
        .args(["--mount", "--propagation=private", "sh", "-c", FULL, "sh"])
        .args([&workspace.path("target"), Path::new(LONGSHORE)])
        .args(["dist", "--preset", "quick", "--no-smoke"])
        .args(ONE.split(' '))
        .env("CARGO_PROFILE_DIST_LTO", "off")
        .current_dir(workspace.root());
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stdout, "status 4\nsame\n", "{stderr}");
    assert!(stderr.to_lowercase().contains("no space left on device"), "{stderr}");
    assert!(stderr.contains("\nhint: free some space"), "{stderr}");
}
