//! Programs of other people, unmodified, from the registry.

use std::{fs, path::Path, sync::OnceLock};

use serde_json::Value;

use crate::support::{
    bom,
    command::{cache, longshore, plain},
    peer,
    workspace::{Workspace, manifest},
};

/// Name, version, binary.
const PROGRAMS: [(&str, &str, &str); 2] =
    [("ripgrep", "14.1.1", "rg"), ("hexyl", "0.16.0", "hexyl")];

/// Returns the source of a published package as its author packed it, in a directory that stays: cargo finds
/// what it built of it the time before.
pub(crate) fn source(name: &str, version: &str) -> Workspace {
    let place = cache("published").join(format!("{name}-{version}"));
    if place.join("Cargo.toml").exists() {
        return Workspace::at(&place);
    }
    // Cargo unpacks what a manifest depends on.
    let fetch = Workspace::empty();
    fetch.write(
        "Cargo.toml",
        &manifest("fetch", &format!("[dependencies]\n{name} = \"={version}\"\n")),
    );
    fetch.write("src/lib.rs", "");
    let mut command = plain("cargo");
    command.args(["fetch", "--quiet"]).current_dir(fetch.root());
    let fetched = command.output().unwrap();
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let sources = peer::cargo_home().join("registry/src");
    let found = fs::read_dir(&sources)
        .unwrap()
        .map(|registry| registry.unwrap().path().join(format!("{name}-{version}")))
        .find(|dir| dir.exists())
        .unwrap_or_else(|| panic!("no {name} {version} below {}", sources.display()));
    // Whole or not at all.
    let partial = place.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    copy(&found, &partial);
    fs::rename(&partial, &place).unwrap();
    Workspace::at(&place)
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Returns each program, built once for both targets, and its `dist.json`.
pub(crate) fn built() -> &'static [(Workspace, Value)] {
    static BUILT: OnceLock<Vec<(Workspace, Value)>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let build = |(name, version, _): (&str, &str, &str)| {
            let workspace = source(name, version);
            // As its author set it up, but for what only costs time here.
            let json = longshore(&workspace, "dist --preset quick --message-format json")
                .env("CARGO_PROFILE_DIST_LTO", "off")
                .env("CARGO_PROFILE_DIST_DEBUG", "0")
                .run()
                .json();
            (workspace, json)
        };
        PROGRAMS.map(build).into()
    })
}

#[test]
fn ripgrep_and_hexyl_build_unchanged() {
    for ((workspace, json), (name, version, binary)) in built().iter().zip(PROGRAMS) {
        let artifacts = json["artifacts"].as_array().unwrap();
        assert_eq!(artifacts.len(), 2, "{name}");
        for artifact in artifacts {
            assert_eq!(artifact["name"], binary);
            assert_eq!(artifact["verdict"]["accepted"], true);
        }
        bom::check(workspace, json);
        let file = workspace.dist().join(format!("linux/amd64/bin/{binary}"));
        let said = match cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            true => peer::run(&file, ["--version"]),
            false => return peer::skip("it runs a linux/amd64 binary"),
        };
        assert!(said.contains(version), "{said}");
        let Some(qemu) = peer::find("qemu-aarch64-static") else {
            continue;
        };
        let file = workspace.dist().join(format!("linux/arm64/bin/{binary}"));
        let emulated = peer::run(&qemu, [file.to_str().unwrap(), "--version"]);
        assert!(emulated.contains(version), "{emulated}");
    }
}
