//! xtasks of other people, and std from its source.

use std::{fs, path::Path};

use crate::support::{
    command::{LONGSHORE, cache, longshore, plain},
    peer,
    workspace::{Workspace, manifest},
};

const MAIN: &str = "fn main() -> std::process::ExitCode {\n    longshore::reenter();\n    \
    longshore::run(std::env::args_os())\n}\n";

#[test]
fn an_xtask_needs_the_call_of_reenter() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    // With this repository's versions, profile and target directory: only longshore is compiled, whose
    // dependencies are there.
    let manifest_here = fs::read_to_string(repository.join("Cargo.toml")).unwrap();
    let (_, profile) = manifest_here.split_once("\n[profile.dev]\n").unwrap();
    let root = format!(
        "[workspace]\nmembers = [\"app\", \"xtask\"]\nresolver = \"3\"\n[profile.dev]\n{profile}"
    );
    let target = Path::new(LONGSHORE).ancestors().nth(2).unwrap();
    let workspace = Workspace::at(&cache("user"));
    workspace.write("Cargo.toml", &root);
    workspace.write("app/Cargo.toml", &manifest("app", ""));
    workspace.write("app/src/main.rs", "fn main() {}\n");
    let dependency = format!("[dependencies]\nlongshore.path = {:?}\n", repository);
    // The directory has this repository's own `xtask`.
    let binary = "[[bin]]\nname = \"user-xtask\"\npath = \"src/main.rs\"\n";
    workspace.write("xtask/Cargo.toml", &manifest("xtask", &format!("{binary}{dependency}")));
    fs::copy(repository.join("Cargo.lock"), workspace.path("Cargo.lock")).unwrap();
    let xtask = |main: &str| {
        workspace.write("xtask/src/main.rs", main);
        let mut build = plain("cargo");
        build.args(["build", "--quiet", "--offline", "-p", "xtask", "--target-dir"]).arg(target);
        build.current_dir(workspace.root());
        let built = build.output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let mut test = longshore(&workspace, "");
        test.command = plain(target.join("debug/user-xtask"));
        test.command
            .args(["dist", "--no-smoke", "--target", "x86_64-unknown-linux-musl"])
            .env("CARGO_PROFILE_DIST_LTO", "off")
            .current_dir(workspace.root());
        test
    };
    let without = MAIN.replace("    longshore::reenter();\n", "");
    let line = "make `longshore::reenter();` the first line of `main`";
    let never = "cannot be the linker wrapper: it never calls `longshore::reenter`";
    xtask(&without).status(2).stderr(never).hint(line).absent("Compiling").run();
    // In the wrong place: other things happen before.
    let late = MAIN.replace("{\n    longshore::", "{\n    println!(\"mine\");\n    longshore::");
    xtask(&late).status(2).stdout("mine").stderr("it does other things before").hint(line).run();
    xtask(MAIN).run();
    assert!(workspace.dist().join("linux/amd64/bin/app").exists());
    assert!(!workspace.dist().join("linux/amd64/bin/user-xtask").exists());
}

#[test]
fn std_is_built_from_the_requested_source() {
    let Some(rustc) = peer::find("rustc") else {
        return;
    };
    let sysroot = peer::run(&rustc, ["--print=sysroot"]);
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    if !source.join("library/std/Cargo.toml").exists() {
        return peer::skip("`rustup component add rust-src` first");
    }
    let workspace = Workspace::hello();
    let test = |verb: &str| {
        longshore(&workspace, &format!("{verb} --message-format json"))
            .arg("--target=x86_64-unknown-linux-musl")
            .arg("--rust-src")
            .arg(&source)
            .env("CARGO_PROFILE_DIST_LTO", "off")
            .env("CARGO_ZIGBUILD_ZIG_PATH", peer::zig())
            // It takes a minute, once.
            .env("LONGSHORE_CACHE_DIR", cache("std"))
    };
    let plan = test("plan").run().json();
    assert_eq!(
        plan["builds"][0]["std"]["x86_64-unknown-linux-musl"]["source"]["source"],
        source.to_str().unwrap()
    );
    let flags = plan["jobs"][0]["rustflags"].to_string();
    assert!(flags.contains("--sysroot="), "{flags}");
    let json = test("dist").run().json();
    let artifact = &json["artifacts"][0];
    assert_eq!(artifact["verdict"]["accepted"], true);
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        assert_eq!(artifact["smoke"]["output"], "hello from a fixture");
    }
    // Built once.
    let again = test("dist").absent("std for x86_64").run().json();
    assert_eq!(again["artifacts"], json["artifacts"]);
}
