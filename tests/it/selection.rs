//! The selection of packages, binaries and features is the same as cargo's.

use std::process::Command;

use serde_json::Value;

use crate::support::{
    command::longshore,
    workspace::{HELLO, Workspace, manifest},
};

/// Returns the binaries of a plan for amd64, sorted.
fn planned(workspace: &Workspace, args: &str) -> Vec<String> {
    let args = format!("plan --message-format json --target x86_64-unknown-linux-musl {args}");
    let plan = longshore(workspace, &args).run().json();
    let name = |job: &Value| job["binary"].as_str().unwrap().to_owned();
    let mut names: Vec<_> = plan["jobs"].as_array().unwrap().iter().map(name).collect();
    names.sort();
    names
}

#[test]
fn default_members_are_the_default_selection() {
    let root = "[workspace]\nmembers = [\"cli\", \"firmware\", \"xtask\"]\nresolver = \"3\"\n\
                default-members = [\"cli\"]\n";
    let workspace = Workspace::members(&["cli", "firmware", "xtask"], "");
    workspace.write("Cargo.toml", root);
    workspace.write("firmware/src/main.rs", "#![no_std]\n#![no_main]\n");
    assert_eq!(planned(&workspace, ""), ["cli"]);
    assert_eq!(planned(&workspace, "--workspace"), ["cli", "firmware"]);
    assert_eq!(planned(&workspace, "--exclude cli"), ["firmware"]);
    assert_eq!(planned(&workspace, "--package firmware"), ["firmware"]);
    assert_eq!(planned(&workspace, "--bin firmware"), ["firmware"]);
    longshore(&workspace, "plan")
        .stdout("firmware (firmware): not a default member; `--package firmware` or `--workspace`")
        .run();
    longshore(&workspace, "build --preset quick --target x86_64-unknown-linux-musl --no-smoke")
        .run();
    // In a workspace without the key, every member is released.
    let all = Workspace::members(&["one", "two"], "");
    assert_eq!(planned(&all, ""), ["one", "two"]);
}

/// Members `a` and `b` that share a package, whose feature `heavy` only `b` requests.
fn sharing() -> Workspace {
    let shared = "[dependencies]\nshared = { path = \"../shared\"";
    let source = "pub fn text() -> &'static str {\n    if cfg!(feature = \"heavy\") { \"HEAVY\" } \
                  else { \"light\" }\n}\n";
    let main = "fn main() {\n    println!(\"{}\", shared::text());\n}\n";
    let package = |name: &str, more: &str| {
        format!("\n[[package]]\nname = {name:?}\nversion = \"0.1.0\"\n{more}")
    };
    let on_shared = "dependencies = [\n \"shared\",\n]\n";
    let lock = format!(
        "version = 4\n{}{}{}",
        package("a", on_shared),
        package("b", on_shared),
        package("shared", "")
    );
    Workspace::empty()
        .file("Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\", \"shared\"]\nresolver = \"3\"\n")
        .file("Cargo.lock", &lock)
        .file("a/Cargo.toml", &manifest("a", &format!("{shared} }}")))
        .file("a/src/main.rs", main)
        .file("b/Cargo.toml", &manifest("b", &format!("{shared}, features = [\"heavy\"] }}")))
        .file("b/src/main.rs", main)
        .file("shared/Cargo.toml", &manifest("shared", "[features]\nheavy = []"))
        .file("shared/src/lib.rs", source)
}

#[test]
fn unified_features_are_reported_and_each_package_can_have_its_own() {
    let workspace = sharing();
    let reports = "`a` is built with features that only other packages request: `shared/heavy`";
    longshore(&workspace, "plan").stdout(reports).run();
    for alone in ["plan --each", "plan --package a", "plan --package b"] {
        let ran = longshore(&workspace, alone).run();
        assert!(!ran.stdout.contains("only other packages request"), "{}", ran.stdout);
    }
    let prints = |name: &str| {
        let output = Command::new(workspace.dist().join("linux/amd64/bin").join(name)).output();
        String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
    };
    let args = "build --preset quick --target x86_64-unknown-linux-musl --message-format json";
    longshore(&workspace, args).run();
    assert_eq!((prints("a").as_str(), prints("b").as_str()), ("HEAVY", "HEAVY"));
    let json = longshore(&workspace, &format!("{args} --each")).run().json();
    assert_eq!((prints("a").as_str(), prints("b").as_str()), ("light", "HEAVY"));
    assert_eq!(json["release"]["asked"]["each"], true);
    let again = longshore(&workspace, &format!("{args} --each")).run().json();
    assert_eq!(again["units"]["compiled"], 0, "{:#}", again["units"]);
    let alone = longshore(&workspace, &format!("{args} --package a")).run().json();
    assert_eq!(alone["artifacts"][0]["sha256"], json["artifacts"][0]["sha256"]);
}

#[test]
fn binaries_may_require_features_of_dependencies() {
    let workspace = sharing();
    let bins = "[features]\nfull = [\"shared/heavy\"]\n[dependencies]\nshared = { path = \"../shared\" }\n\
                [[bin]]\nname = \"a-heavy\"\npath = \"src/heavy.rs\"\n\
                required-features = [\"shared/heavy\"]\n\
                [[bin]]\nname = \"a\"\npath = \"src/main.rs\"\n";
    workspace.write("a/Cargo.toml", &manifest("a", bins));
    workspace.write("a/src/heavy.rs", HELLO);
    assert_eq!(planned(&workspace, "--package a"), ["a"]);
    for on in ["--features full", "--features a/full", "--features shared/heavy", "--all-features"]
    {
        assert_eq!(planned(&workspace, &format!("--package a {on}")), ["a", "a-heavy"], "{on}");
    }
    assert_eq!(planned(&workspace, "--package a --bin a-heavy --features full"), ["a-heavy"]);
    // Another package switches it on, as cargo does.
    assert_eq!(planned(&workspace, ""), ["a", "a-heavy", "b"]);
    longshore(&workspace, "plan --package a --bin a-heavy")
        .status(2)
        .hint("it requires the feature `shared/heavy`; `--features shared/heavy` builds it")
        .run();
    // By default, and by another name.
    let by_default = bins.replace("[features]\n", "[features]\ndefault = [\"full\"]\n");
    workspace.write("a/Cargo.toml", &manifest("a", &by_default));
    assert_eq!(planned(&workspace, "--package a"), ["a", "a-heavy"]);
    let renamed = bins
        .replace("shared = { path", "other = { package = \"shared\", path")
        .replace("shared/heavy", "other/heavy");
    workspace.write("a/Cargo.toml", &manifest("a", &renamed));
    workspace.write("a/src/main.rs", HELLO);
    assert_eq!(planned(&workspace, "--package a --features full"), ["a", "a-heavy"]);
    let args =
        "build --preset quick --package a --features full --target x86_64-unknown-linux-musl";
    longshore(&workspace, args).run();
    assert!(workspace.dist().join("linux/amd64/bin/a-heavy").is_file());
}

#[test]
fn the_plan_names_unknown_features_and_differences_from_cargo() {
    let more = "publish = false\n[features]\nfast = []\n";
    let workspace = Workspace::empty().package("hello", more);
    longshore(&workspace, "plan --features fats").status(2).hint("did you mean `fast`?").run();
    longshore(&workspace, "plan --features hello/nope").status(2).stderr("`hello/nope`").run();
    longshore(&workspace, "plan --features fast,hello/fast").run();
    workspace.write(".cargo/config.toml", "[build]\ntarget = \"aarch64-unknown-linux-musl\"\n");
    longshore(&workspace, "plan")
        .stdout("note: `hello` has `publish = false` and is released; `dist = false`")
        .stdout("note: `build.target` in cargo's configuration (aarch64-unknown-linux-musl) is not used")
        .run();
    let plain = Workspace::hello();
    longshore(&plain, "plan --features x").status(2).hint("the package has no features").run();
}

#[test]
fn a_missing_toolchain_is_a_missing_tool() {
    let Some(_) = crate::support::peer::find("rustup") else { return };
    let workspace = Workspace::hello();
    workspace.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.0.99\"\n");
    // Nothing is installed for a test.
    let plan = || longshore(&workspace, "plan").env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    plan().env("RUSTUP_AUTO_INSTALL", "0").status(3).stderr("toolchain").run();
}

#[test]
fn a_package_for_a_newer_rust_is_named_with_the_version() {
    let workspace = Workspace::empty().package("hello", "rust-version = \"1.999\"");
    longshore(&workspace, "plan").run();
    longshore(&workspace, "build --preset quick --target x86_64-unknown-linux-musl")
        .status(4)
        .stderr("hello@0.1.0 requires rustc 1.999")
        .hint("a newer toolchain is needed")
        .run();
}
