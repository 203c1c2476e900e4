//! Attribution of failures: a missing or dynamic library is traced to the crate that requires it.

use std::fs;

use crate::{
    dist::dist,
    support::workspace::{Workspace, lock, manifest},
};

const ONE: &str = "--target x86_64-unknown-linux-musl --no-smoke";

/// Returns `app` needs `middle`, which needs `part-sys`, whose build script is `script`; it has a function
/// `part` from elsewhere.
fn workspace(script: &str) -> Workspace {
    let depends = |on: &str| format!("[dependencies]\n{on}.path = \"../{on}\"\n");
    Workspace::empty()
        .file("Cargo.toml", "[workspace]\nmembers = [\"app\"]\nresolver = \"3\"\n")
        .file("Cargo.lock", &locked())
        .file("app/Cargo.toml", &manifest("app", &depends("middle")))
        .file("app/src/main.rs", "fn main() { println!(\"{}\", middle::part()) }\n")
        .file("middle/Cargo.toml", &manifest("middle", &depends("part-sys")))
        .file("middle/src/lib.rs", "pub fn part() -> i32 { unsafe { part_sys::part() } }\n")
        .file("part-sys/Cargo.toml", &manifest("part-sys", ""))
        .file("part-sys/src/lib.rs", "extern \"C\" { pub fn part() -> i32; }\n")
        .file("part-sys/build.rs", script)
}

fn locked() -> String {
    let on = |package: &str, on: &str| {
        let name = format!("name = {package:?}\nversion = \"0.1.0\"\n");
        (name.clone(), format!("{name}dependencies = [\n {on:?},\n]\n"))
    };
    let text = lock(&["app", "middle", "part-sys"]);
    [on("app", "middle"), on("middle", "part-sys")]
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}

#[test]
fn a_missing_library() {
    let script = "fn main() { println!(\"cargo::rustc-link-lib=dylib=nowhere\"); }\n";
    let workspace = workspace(script);
    dist(&workspace, ONE)
        .status(4)
        .stderr("error: cannot build `app v0.1.0`: cargo ended with exit status 101\n")
        .stderr(
            "library `nowhere` is missing: the build script of `part-sys v0.1.0` links it, \
             which `app v0.1.0` needs through `middle v0.1.0`",
        )
        .hint("have `part-sys v0.1.0` build its own library and link it statically")
        .run();
    // Nobody's build script: the source itself.
    workspace.write("part-sys/build.rs", "fn main() {}\n");
    let source = "#[link(name = \"nowhere\")] extern \"C\" { pub fn part() -> i32; }\n";
    workspace.write("part-sys/src/lib.rs", source);
    dist(&workspace, ONE)
        .status(4)
        .stderr("library `nowhere` is missing: no build script links it")
        .stderr("the complete log is")
        .run();
}

#[test]
fn a_library_that_is_dynamic() {
    let workspace = workspace(
        r#"
use std::{env, process::Command};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let cc = env::var(format!("CC_{}", env::var("TARGET").unwrap().replace('-', "_"))).unwrap();
    let library = format!("{out}/libpart.so");
    let args = ["-shared", "-Wl,-soname,libpart.so.3", "-o", &library, "part.c"];
    assert!(Command::new(cc).args(args).status().unwrap().success());
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-lib=dylib=part");
}
"#,
    );
    workspace.write("part-sys/part.c", "int part(void) { return 7; }\n");
    dist(&workspace, ONE)
        .status(1)
        .stderr("error: 1 of 1 binaries rejected; nothing was packed")
        .stderr(
            "linux/amd64 app is linked to `libpart.so.3`: the build script of `part-sys v0.1.0` \
             links it, which `app v0.1.0` needs through `middle v0.1.0`",
        )
        .hint("have `part-sys v0.1.0` build its own library and link it statically")
        .run();
}

#[test]
fn the_error_below_a_long_log() {
    let workspace = workspace(
        r#"
fn main() {
    println!("running: \"the-compiler\" \"-c\" \"part.c\"");
    for n in 0..500 { println!("a line {n} of no interest"); }
    eprintln!("part.c:1:2: fatal error: 'gone.h' file not found");
    for n in 0..500 { eprintln!("a line {n} of no interest"); }
    panic!("it went wrong");
}
"#,
    );
    let ran = dist(&workspace, ONE)
        .status(4)
        .stderr("error: cannot build `part-sys v0.1.0`: cargo ended with exit status 101\n")
        .stderr("running: \"the-compiler\" \"-c\" \"part.c\"")
        .stderr("part.c:1:2: fatal error: 'gone.h' file not found")
        .stderr("it went wrong")
        .stderr(
            "`part-sys v0.1.0` was being built, which `app v0.1.0` needs through `middle v0.1.0`",
        )
        .run();
    let error = ran.stderr.split("\nerror: cannot build").nth(1).unwrap();
    assert!(error.lines().count() < 70, "{error}");
    let log = workspace.path("target/dist.failed/logs/build.log");
    assert!(fs::read_to_string(log).unwrap().contains("a line 250 of no interest"));
}
