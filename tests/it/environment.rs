//! Variables, limits and directories of the user that a build depends on: used, or an error before
//! anything is compiled.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{
    command::{LONGSHORE, Test, cache, longshore, plain},
    git::{commit, committed, git},
    peer,
    workspace::{HELLO, Workspace},
};

const BUILD: &str = "build --preset quick --target x86_64-unknown-linux-musl --allocator system";

/// Returns the command `build` of `workspace`, which fails before anything is compiled.
#[track_caller]
fn fails_early(workspace: &Workspace, set: impl Fn(Test) -> Test, words: &str, hint: &str) {
    set(longshore(workspace, BUILD)).status(2).stderr(words).hint(hint).absent("Compiling").run();
    assert!(!workspace.path("target/longshore/x86_64-unknown-linux-musl").exists());
}

#[test]
fn a_wrong_time_is_named() {
    let workspace = Workspace::hello();
    for time in ["99999999999999", "253402300800", "-1", "+1", "1.5", "now", " 1", "0x1"] {
        longshore(&workspace, "plan")
            .env("SOURCE_DATE_EPOCH", time)
            .status(2)
            .stderr(&format!(
                "`SOURCE_DATE_EPOCH` is `{time}`: expected an integer number of seconds"
            ))
            .run();
    }
    let not_utf8 = std::ffi::OsStr::from_bytes(b"1\xff");
    longshore(&workspace, "plan")
        .env("SOURCE_DATE_EPOCH", not_utf8)
        .status(2)
        .stderr("`SOURCE_DATE_EPOCH` is not UTF-8")
        .run();
    for (time, epoch) in [("253402300799", 253_402_300_799_u64), ("0", 0), ("", 0), ("007", 7)] {
        let plan = "plan --message-format json";
        let ran = longshore(&workspace, plan).env("SOURCE_DATE_EPOCH", time).run();
        assert_eq!(ran.json()["release"]["source-date-epoch"], epoch, "{time}");
    }
}

#[test]
fn unwritable_directories_are_reported_early() {
    let workspace = Workspace::hello().file("occupied", "a file\n");
    let occupied = workspace.path("occupied");
    let hint = "set `TMPDIR` to a directory that can be written";
    for dir in ["occupied", "occupied/x", "not-there"] {
        let set = |test: Test| test.env("TMPDIR", workspace.path(dir));
        fails_early(&workspace, set, "the directory for temporary files `", hint);
    }
    let set = |test: Test| test.env("LONGSHORE_CACHE_DIR", occupied.join("x"));
    let hint = "set `LONGSHORE_CACHE_DIR` to a directory that can be written";
    fails_early(&workspace, set, "the cache directory `", hint);
    for name in ["ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"] {
        let set = |test: Test| test.env(name, occupied.join("x"));
        let hint = format!("set `{name}` to a directory that can be written");
        fails_early(&workspace, set, "the cache of zig `", &hint);
    }
    // A part of a shared cache that is somebody else's.
    let shared = Workspace::empty().file("linker", "a file\n");
    let set = |test: Test| test.env("LONGSHORE_CACHE_DIR", shared.root());
    fails_early(&workspace, set, "/linker` cannot be written", hint);
}

#[test]
fn full_or_noexec_temporary_directories_are_reported_early() {
    let Some(unshare) = peer::find("unshare") else { return };
    let workspace = Workspace::hello();
    for (options, words, more) in [
        ("size=64k", "No space left on device", ""),
        ("noexec", "is mounted `noexec`", ""),
        ("noexec", "Skipping", "--no-smoke --package nothing"),
    ] {
        let mut command = plain(&unshare);
        let script =
            format!("mount -t tmpfs -o {options} none /mnt && exec '{LONGSHORE}' {BUILD} {more}");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
        let output = command.current_dir(workspace.root()).env("TMPDIR", "/mnt").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        if more.is_empty() {
            assert!(stderr.contains(words) && stderr.contains("hint: set `TMPDIR` to"), "{stderr}");
        } else {
            // Without a smoke test nothing runs there.
            assert!(!stderr.contains("noexec"), "{stderr}");
        }
    }
    assert!(!workspace.path("target/longshore").exists());
}

#[test]
fn unusable_target_directories_are_reported_early() {
    let outer = Workspace::empty();
    let workspace = Workspace::at(&outer.path("a:b")).package("hello", "");
    let words = "has a `:` in its path: cargo joins";
    let hint = "`--target-dir DIR` or `CARGO_TARGET_DIR` names a directory without it";
    for verb in ["plan", BUILD] {
        longshore(&workspace, verb).status(2).stderr(words).hint(hint).run();
    }
    let other = outer.path("target");
    longshore(&workspace, "plan --target-dir").arg(&other).run();
    let elsewhere = Workspace::hello();
    longshore(&elsewhere, "plan --target-dir c:d").status(2).stderr(words).hint(hint).run();
    longshore(&elsewhere, "plan").env("CARGO_TARGET_DIR", "c:d").status(2).hint(hint).run();
    let words = "has a `%` in its path: the linker lld";
    longshore(&elsewhere, "plan --target-dir c%d").status(2).stderr(words).hint(hint).run();
}

#[test]
fn a_small_stack_is_enough() {
    let workspace = Workspace::hello();
    let own = Path::new(LONGSHORE);
    for args in ["--help", "verify --help", &format!("verify {}", own.display())] {
        let script = format!("ulimit -S -s 64 && exec '{LONGSHORE}' {args}");
        let output =
            plain("sh").args(["-c", &script]).current_dir(workspace.root()).output().unwrap();
        // Verifying a program that is linked dynamically ends with 1.
        let code = output.status.code();
        assert!(code == Some(0) || code == Some(1), "{args}: {output:?}");
    }
}

/// Returns the files below `dir` that git does not ignore.
fn untracked(workspace: &Workspace) -> String {
    git(workspace.root(), ["status", "--porcelain", "--untracked-files=all"])
}

#[test]
fn nothing_is_written_into_the_source_without_a_home_directory() {
    if peer::find("git").is_none() {
        return;
    }
    // A `build.zig` in the source makes zig keep a `.zig-cache` beside it.
    let workspace = Workspace::hello().file(".gitignore", "/target\n").file("build.zig", "");
    committed(&workspace);
    let ways: [&[(&str, &str)]; 4] = [
        &[("HOME", ""), ("TMPDIR", "")],
        &[("HOME", "unset")],
        &[("XDG_CACHE_HOME", "cache")],
        &[("XDG_CACHE_HOME", ""), ("ZIG_GLOBAL_CACHE_DIR", "")],
    ];
    for (number, variables) in ways.into_iter().enumerate() {
        // So that it is linked again.
        workspace.write("src/main.rs", &format!("{HELLO}// {number}\n"));
        commit(&workspace, "again");
        let test = variables.iter().fold(longshore(&workspace, BUILD), |test, (name, value)| {
            if *value == "unset" { test.env_remove(name) } else { test.env(name, value) }
        });
        test.run();
        assert_eq!(untracked(&workspace), "", "{variables:?}");
    }
}

/// Returns the zig that longshore fetched, if it did: another path of it would have it compile its libc again.
fn fetched_zig() -> Option<PathBuf> {
    let zig = usual_cache().join("zig").join(longshore::build::zig::PINNED).join("ziglang/zig");
    zig.exists().then_some(zig)
}

fn usual_cache() -> PathBuf {
    match std::env::var_os("LONGSHORE_CACHE_DIR") {
        Some(dir) => dir.into(),
        None => {
            let home = Path::new(&std::env::var_os("HOME").unwrap()).join(".cache");
            let xdg = std::env::var_os("XDG_CACHE_HOME").map_or(home, Into::into);
            xdg.join("longshore")
        }
    }
}

/// A build script that has CMake build a library, as the crate cmake does it.
const CMAKE: &str = r#"
use std::{env, path::Path, process::Command};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let target = env::var("TARGET").unwrap().replace('-', "_");
    let get = |name: &str| env::var(format!("{name}_{target}")).unwrap();
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    let dir = Path::new(&out).join("build");
    run(Command::new("cmake").arg("-S").arg(env::current_dir().unwrap().join("c")).arg("-B").arg(&dir)
        .arg("-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY")
        .arg(format!("-DCMAKE_TOOLCHAIN_FILE={}", get("CMAKE_TOOLCHAIN_FILE")))
        .arg(format!("-DCMAKE_C_FLAGS=-fPIC {}", get("CFLAGS"))));
    run(Command::new("cmake").arg("--build").arg(&dir));
    // As a Makefile or a configure script uses the compiler.
    let line = format!("{} {} -fPIC -c c/b.c -o \"$OUT_DIR/b.o\" && {} rcs \"$OUT_DIR/libb.a\" \"$OUT_DIR/b.o\"",
        get("CC"), get("CFLAGS"), get("AR"));
    run(Command::new("sh").args(["-c", &line]));
    println!("cargo:rustc-link-search=native={}", dir.display());
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static=a");
    println!("cargo:rustc-link-lib=static=b");
}
"#;

#[test]
fn c_builds_work_with_unusual_directory_names() {
    if peer::find("cmake").is_none() {
        return;
    }
    let place = cache("environment");
    let cache = place.join("cache a b'c;d\"e$(f)[g]*?#h");
    // CMake itself takes a source with a space in its path, and few other characters.
    let workspace = Workspace::at(&place.join("work space"))
        .package("hello", "")
        .file("build.rs", CMAKE)
        .file(
            "c/CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.10)\nproject(a C)\nadd_library(a STATIC a.c)\n",
        )
        .file("c/a.c", "const char *a(void) { return __FILE__; }\n")
        .file("c/b.c", "const char *b(void) { return __FILE__; }\n")
        .file("src/main.rs", CALLS);
    let mut test = longshore(&workspace, BUILD).env("LONGSHORE_CACHE_DIR", &cache);
    if let Some(zig) = fetched_zig() {
        test = test.env("CARGO_ZIGBUILD_ZIG_PATH", zig);
    }
    test.run();
    let program = workspace.dist().join("linux/amd64/bin/hello");
    let output = Command::new(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "\"/workspace/c/a.c\"\n\"c/b.c\"\n");
}

/// A program that prints what the C library says.
const CALLS: &str = r#"
unsafe extern "C" { fn a() -> *const i8; fn b() -> *const i8; }
fn main() {
    for text in unsafe { [a(), b()] } {
        println!("{:?}", unsafe { std::ffi::CStr::from_ptr(text.cast()) });
    }
}
"#;
