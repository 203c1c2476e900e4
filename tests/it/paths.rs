//! The path of a workspace and its packages does not affect the output.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{
    command::longshore,
    workspace::{Workspace, manifest},
};

const BUILD: &str = "dist --preset quick --target x86_64-unknown-linux-musl --no-smoke";

/// Returns a member `app` in `ws`, with a path dependency and a patch outside.
fn outside(top: &Path) -> Workspace {
    let dependencies = "[dependencies]\nshared = { path = \"../../shared\" }\n\
                        patched = { path = \"../../patched\" }";
    let panics = "pub fn at(list: &[u8], index: usize) -> u8 {\n    list[index]\n}\n";
    let lock = "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \
                \"patched\",\n \"shared\",\n]\n\n[[package]]\nname = \"patched\"\nversion = \"0.1.0\"\n\n\
                [[package]]\nname = \"shared\"\nversion = \"0.1.0\"\n";
    Workspace::at(top)
        .file("ws/Cargo.toml", "[workspace]\nmembers = [\"app\"]\nresolver = \"3\"\n")
        .file("ws/Cargo.lock", lock)
        .file("ws/app/Cargo.toml", &manifest("app", dependencies))
        .file(
            "ws/app/src/main.rs",
            "fn main() {\n    let (index, other) = (std::env::args().count(), std::env::vars().count());\n    \
             println!(\"{}\", shared::at(&[7], index) + patched::at(&[7], other));\n}\n",
        )
        .file("shared/Cargo.toml", &manifest("shared", ""))
        .file("shared/src/lib.rs", panics)
        .file("patched/Cargo.toml", &manifest("patched", ""))
        .file("patched/src/lib.rs", panics)
}

#[test]
fn packages_outside_the_workspace_leave_no_paths() {
    let top = tempfile::TempDir::new().unwrap();
    let (mut digests, mut identities) = (Vec::new(), Vec::new());
    for dir in ["one", "another/deeper"] {
        let dir = top.path().join(dir);
        let workspace = outside(&dir);
        let (wrapper, log) = recorder(&dir);
        let ran = longshore(&workspace, BUILD).arg("--message-format=json").dir(dir.join("ws"));
        let json = ran.env("RUSTC_WRAPPER", &wrapper).run().json();
        digests.push(json["artifacts"][0]["sha256"].clone());
        identities.push(recorded(&log));
        let binary = fs::read(dir.join("ws/target/dist/linux/amd64/bin/app")).unwrap();
        let text = String::from_utf8_lossy(&binary);
        assert!(!text.contains(dir.to_str().unwrap()), "{}", dir.display());
        assert!(text.contains("/packages/shared-0.1.0/src/lib.rs"));
        assert!(text.contains("/packages/patched-0.1.0/src/lib.rs"));
    }
    assert_eq!(digests[0], digests[1]);
    // Equal digests alone could be luck: rustc orders functions by names that hold the identities.
    assert_eq!(identities[0].len(), 3, "{:?}", identities[0]);
    assert_eq!(identities[0], identities[1]);
}

/// Writes a `RUSTC_WRAPPER` that records the identity of each crate, and returns it with its log.
fn recorder(dir: &Path) -> (String, PathBuf) {
    let (program, log) = (dir.join("wrapper"), dir.join("identities"));
    let text = format!(
        "#!/bin/sh\nfor arg; do case $arg in metadata=*) echo \"$CARGO_PKG_NAME $arg\" >> '{}';; \
         esac; done\nexec \"$@\"\n",
        log.display()
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (program.to_str().unwrap().to_owned(), log)
}

/// Returns the lines of a log, sorted.
fn recorded(log: &Path) -> Vec<String> {
    let mut lines: Vec<_> = fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Returns a workspace with one dependency, which is in a directory beside it (`cargo vendor ../vendor`).
fn vendored(top: &Path) -> Workspace {
    let zeros = "0".repeat(64);
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let lock = format!(
        "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"dep\",\n]\n\n\
         [[package]]\nname = \"dep\"\nversion = \"0.1.0\"\nsource = \"{registry}\"\nchecksum = \"{zeros}\"\n"
    );
    let config = "[source.crates-io]\nreplace-with = \"beside\"\n\
                  [source.beside]\ndirectory = \"../vendor\"\n";
    let source = "pub fn at(list: &[u8], index: usize) -> u8 {\n    list[index]\n}\n\
                  pub const REAL: &str = env!(\"REAL\");\n";
    let build = "fn main() {\n    let dir = std::env::current_dir().unwrap();\n    \
                 println!(\"cargo:rustc-env=REAL={}\", dir.file_name().unwrap().display());\n}\n";
    Workspace::at(top)
        .file("ws/Cargo.toml", &manifest("app", "[dependencies]\ndep = \"0.1\"\n"))
        .file("ws/Cargo.lock", &lock)
        .file("ws/.cargo/config.toml", config)
        .file(
            "ws/src/main.rs",
            "fn main() {\n    println!(\"{} {}\", dep::at(&[7], std::env::args().count()), dep::REAL);\n}\n",
        )
        .file("vendor/dep/Cargo.toml", &manifest("dep", ""))
        .file("vendor/dep/src/lib.rs", source)
        .file("vendor/dep/build.rs", build)
        .file(
            "vendor/dep/.cargo-checksum.json",
            &format!("{{\"files\":{{}},\"package\":\"{zeros}\"}}"),
        )
}

#[test]
fn vendored_packages_leave_no_paths() {
    let top = tempfile::TempDir::new().unwrap();
    let build = |dir: &str, config: Option<&str>| {
        let dir = top.path().join(dir);
        let workspace = vendored(&dir);
        if let Some(config) = config {
            let vendor = dir.join("vendor");
            workspace.write(config, &format!("source.beside.directory = {vendor:?}\n"));
        }
        let ran = longshore(&workspace, BUILD).arg("--message-format=json").dir(dir.join("ws"));
        let json = ran.run().json();
        let binary = fs::read(dir.join("ws/target/dist/linux/amd64/bin/app")).unwrap();
        let text = String::from_utf8_lossy(&binary);
        assert!(!text.contains(dir.to_str().unwrap()), "{}", dir.display());
        assert!(text.contains("/vendor/beside/dep/src/lib.rs"));
        let path = dir.join("ws/target/dist/archives/app-0.1.0.intoto.json");
        (json["artifacts"][0]["sha256"].clone(), fs::read_to_string(path).unwrap())
    };
    let one = build("one", None);
    assert_eq!(build("another/deeper", None), one);
    // With a path that is absolute, in a file of a directory above.
    assert_eq!(build("third", Some(".cargo/config.toml")).0, one.0);
}

/// Returns a workspace whose member has a build dependency and a procedural macro.
fn with_host_units() -> Workspace {
    let workspace = Workspace::members(&["app", "bd", "pm"], "");
    let dependencies = "[dependencies]\npm = { path = \"../pm\" }\n[build-dependencies]\n\
                        bd = { path = \"../bd\" }";
    workspace.write("app/Cargo.toml", &manifest("app", dependencies));
    workspace.write("app/build.rs", "fn main() {\n    assert_eq!(bd::seven(), 7);\n}\n");
    workspace.write("app/src/main.rs", "fn main() {\n    println!(\"{}\", pm::seven!());\n}\n");
    workspace.write("pm/Cargo.toml", &manifest("pm", "[lib]\nproc-macro = true"));
    let source = "use proc_macro::TokenStream;\n#[proc_macro]\n\
                  pub fn seven(_: TokenStream) -> TokenStream {\n    \"7\".parse().unwrap()\n}\n";
    workspace.write("pm/src/lib.rs", source);
    workspace.write("bd/src/lib.rs", "pub fn seven() -> u8 {\n    7\n}\n");
    workspace.remove("pm/src/main.rs");
    workspace.remove("bd/src/main.rs");
    let package = |name: &str, more: &str| {
        format!("\n[[package]]\nname = {name:?}\nversion = \"0.1.0\"\n{more}")
    };
    let app = package("app", "dependencies = [\n \"bd\",\n \"pm\",\n]\n");
    let lock = format!("version = 4\n{app}{}{}", package("bd", ""), package("pm", ""));
    workspace.write("Cargo.lock", &lock);
    workspace
}

/// Returns the units of a release: package, kind, and what each was compiled for.
fn units(json: &Value) -> Vec<String> {
    let unit = |unit: &Value| {
        let text = |key: &str| unit[key].as_str().unwrap().to_owned();
        format!("{} {} {}", text("package"), text("kind"), text("target"))
    };
    let mut units: Vec<_> = json["units"]["each"].as_array().unwrap().iter().map(unit).collect();
    units.sort();
    units
}

#[test]
fn a_directory_named_like_a_target_changes_nothing() {
    let workspace = with_host_units();
    let args = "dist --preset quick --no-smoke --message-format json";
    let plain = longshore(&workspace, args).run().json();
    let named = "target/x86_64-unknown-linux-musl";
    let other = longshore(&workspace, &format!("{args} --target-dir {named}")).run().json();
    let expected = [
        "app bin aarch64-unknown-linux-musl",
        "app bin x86_64-unknown-linux-musl",
        "app custom-build host",
        "bd lib host",
        "pm proc-macro host",
    ];
    assert_eq!(units(&plain), expected);
    assert_eq!(units(&other), expected);
    for index in [0, 1] {
        let (plain, other) = (&plain["artifacts"][index], &other["artifacts"][index]);
        assert_eq!(plain["sha256"], other["sha256"], "{plain:#}\n{other:#}");
    }
    // The macro and the build dependency are in the SBOM either way.
    let archives = workspace.path(named).join("dist/archives");
    let sbom = archives.join("app-0.1.0-x86_64-unknown-linux-musl.cdx.json");
    let text = fs::read_to_string(&sbom).unwrap();
    assert!(text.contains("\"pm\"") && text.contains("\"bd\""), "{text}");
}
