//! `verify` as people and machines call it: statuses, and the forms of its output.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use longshore::model::digest::Digest;
use serde_json::Value;

/// Our own program, stripped: a binary that every machine which runs the tests has.
fn program() -> Vec<u8> {
    let bytes = fs::read(env!("CARGO_BIN_EXE_cargo-longshore")).unwrap();
    longshore::binary::elf::strip(&bytes, longshore::binary::elf::StripOptions::default())
        .unwrap()
        .bytes()
        .unwrap()
}

pub(crate) fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verify-cli").join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn verify(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-longshore"));
    command.arg("verify").args(args).current_dir(directory);
    command.env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY").output().unwrap()
}

/// Returns standard output, after the status was held against what is expected.
#[track_caller]
pub(crate) fn check(directory: &Path, args: &[&str], status: i32) -> String {
    let output = verify(directory, args);
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {text}{errors}");
    text
}

/// Returns standard error of a run that fails with that status, and prints nothing else.
#[track_caller]
pub(crate) fn fails(directory: &Path, args: &[&str], status: i32) -> String {
    let output = verify(directory, args);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?}");
    errors
}

#[test]
fn the_page_on_lints_is_up_to_date() {
    let page = check(&directory("page"), &["--explain", "all"], 0);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lints.md");
    let written = fs::read_to_string(path).unwrap();
    assert_eq!(written, page, "`cargo longshore verify --explain all > docs/lints.md`");
    let one = check(&directory("page"), &["--explain", "relro"], 0);
    assert!(page.contains(&one) && one.contains("Limitations: "));
}

#[test]
fn unreadable_files_are_never_accepted() {
    let dir = directory("bad");
    let good = program();
    write(&dir.join("good"), &good, 0o755);
    write(&dir.join("empty"), b"", 0o755);
    write(&dir.join("cut"), &good[..good.len() / 2], 0o755);
    write(&dir.join("script"), b"#!/bin/sh\n", 0o755);
    fs::create_dir_all(dir.join("none/below")).unwrap();
    write(&dir.join("none/below/read.me"), b"text", 0o644);
    // Nothing is read of it, so it costs no memory.
    let sparse = fs::File::create(dir.join("sparse")).unwrap();
    sparse.set_len(10 << 30).unwrap();
    check(&dir, &["good"], 0);
    for path in ["missing", "empty", "cut", "script", "none", "sparse", "/dev/zero"] {
        let text = check(&dir, &["good", path], 1);
        assert!(text.contains("`good` accepted"), "{text}");
        assert!(text.contains(&format!("`{path}` refused")), "{text}");
        assert!(text.contains("1 accepted, 1 refused"), "{text}");
    }
    check(&dir, &["--target", "x86_64-unknown-linux-musk", "good"], 2);
    check(&dir, &["--deny", "statc", "good"], 2);
    check(&dir, &["--deny", "static", "--allow", "static", "good"], 2);
}

#[test]
fn the_last_release_is_verified_by_default() {
    // Outside of this repository, which may have a release.
    let dir = tempfile::tempdir().unwrap();
    let error = fails(dir.path(), &[], 1);
    assert!(error.contains("there is no `target/dist`"), "{error}");
    let release = dir.path().join("target/dist");
    let binary = write_binary(&release);
    let sha256 = Digest::sha256(&binary).to_string();
    let target = "x86_64-unknown-linux-musl";
    write_manifest(&release, "linux/amd64/bin/x", target, binary.len(), &sha256);
    let text = check(dir.path(), &[], 1);
    assert_eq!(text, check(dir.path(), &["target/dist"], 1));
    assert!(text.contains("deny static"), "{text}");
    fs::create_dir(dir.path().join("src")).unwrap();
    assert!(check(&dir.path().join("src"), &[], 1).contains("deny static"));
}

#[test]
fn directories_are_searched() {
    let dir = directory("tree");
    fs::create_dir_all(dir.join("a/b")).unwrap();
    write(&dir.join("a/b/program"), &program(), 0o755);
    write(&dir.join("a/read.me"), b"text", 0o644);
    std::os::unix::fs::symlink("..", dir.join("a/loop")).unwrap();
    let text = check(&dir, &["."], 0);
    for line in [
        "`./a/b/program` accepted",
        "`./a/read.me` not checked: no program",
        "`./a/loop` not checked: a symbolic link",
        "1 accepted, 2 not checked",
    ] {
        assert!(text.contains(line), "{text}");
    }
    write(&dir.join("a/damaged"), b"\x7fELF", 0o755);
    assert!(check(&dir, &["."], 1).contains("`./a/damaged` refused"));
}

#[test]
fn lints_have_the_requested_level() {
    let dir = directory("levels");
    write(&dir.join("open"), &program(), 0o777);
    assert!(check(&dir, &["open"], 0).contains("warn mode"));
    assert!(check(&dir, &["--deny", "mode", "open"], 1).contains("deny mode"));
    assert!(!check(&dir, &["--allow", "mode", "open"], 0).contains("mode:"));
    let found = check(&dir, &["--deny", "audit-data", "open"], 1);
    assert!(found.contains("deny audit-data"), "{found}");
    write(&dir.join("setuid"), &program(), 0o4755);
    assert!(check(&dir, &["setuid"], 1).contains("setuid (mode 4755)"));
}

#[test]
fn every_format_reports_the_same() {
    let dir = directory("forms");
    write(&dir.join("good"), &program(), 0o755);
    let args = |form| ["good", "missing", "--facts", "--message-format", form];
    let text = check(&dir, &args("json"), 1);
    assert_ne!(crate::schema::valid("verify.v1", &text), Some(false));
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["schema"], &json["accepted"]), (&1.into(), &false.into()));
    let good = &json["checked"][0];
    assert!(good["sha256"].as_str().unwrap().starts_with("sha256:"), "{good}");
    let facts = good["facts"].as_array().unwrap();
    assert!(facts.iter().any(|fact| fact["name"] == "libc"), "{good}");
    assert_eq!(json["checked"][1]["verdict"]["findings"][0]["lint"], "readable");

    let sarif = check(&dir, &args("sarif"), 1);
    assert_ne!(crate::schema::valid_sarif(&sarif), Some(false));
    let broken = sarif.replace("\"ruleId\"", "\"rule\"");
    assert_ne!(crate::schema::valid_sarif(&broken), Some(true));
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().any(|result| result["ruleId"] == "readable"));
    assert!(check(&dir, &args("github"), 1).contains("::error file=missing,title=readable::"));
    assert!(check(&dir, &args("markdown"), 1).contains("| `missing` | error `readable` |"));
    assert!(check(&dir, &args("junit"), 1).contains("<failure type=\"readable\""));

    let summary = dir.join("summary.md");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-longshore"));
    command.args(["verify", "missing"]).current_dir(&dir);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(text.contains("`missing` refused") && text.contains("::error file=missing"), "{text}");
    assert!(fs::read_to_string(summary).unwrap().contains("1 refused"));
}

/// Writes the program of a release, and returns its content.
fn write_binary(release: &Path) -> Vec<u8> {
    let bytes = program();
    fs::create_dir_all(release.join("linux/amd64/bin")).unwrap();
    write(&release.join("linux/amd64/bin/x"), &bytes, 0o755);
    bytes
}

/// Writes the manifest of a release with one program.
fn write_manifest(release: &Path, path: &str, target: &str, size: usize, sha256: &str) {
    let artifact = serde_json::json!({
        "name": "x", "package": "x", "version": "1.0.0", "target": target,
        "platform": "linux/amd64", "path": path, "size": size, "sha256": sha256,
        "unstripped": { "size": size, "sha256": sha256 },
        "allocator": { "allocator": "system", "origin": "test" },
    });
    let dist = serde_json::json!({
        "schema": 1, "release": { "name": "x", "source-date-epoch": 0, "tools": {} },
        "units": { "compiled": 0, "fresh": 0, "each": [] }, "artifacts": [artifact], "images": [],
    });
    fs::write(release.join("dist.json"), dist.to_string()).unwrap();
}

#[test]
fn release_manifests_are_compared_with_their_files() {
    let dir = directory("dist");
    let binary = write_binary(&dir);
    let sha256 = Digest::sha256(&binary).to_string();
    let manifest = |path: &str, target: &str, sha256: &str| {
        write_manifest(&dir, path, target, binary.len(), sha256);
    };
    let target = "x86_64-unknown-linux-musl";
    let (path, other) = ("linux/amd64/bin/x", format!("sha256:{}", "0".repeat(64)));
    // The host's program is dynamic, and the target's policy asks for a static one.
    manifest(path, target, &sha256);
    let text = check(&dir, &["dist.json"], 1);
    assert!(text.contains("deny static") && text.contains("`linux/amd64/bin/x` refused"), "{text}");
    manifest(path, target, &other);
    let text = check(&dir, &["dist.json"], 1);
    assert!(text.contains("deny record: the file does not match"), "{text}");
    manifest(path, "made-up", &sha256);
    assert!(check(&dir, &["dist.json"], 1).contains("unknown target `made-up`"));
    manifest("../../x", target, &sha256);
    assert!(check(&dir, &["dist.json"], 1).contains("is outside its directory"));
    fs::write(dir.join("dist.json"), "{}").unwrap();
    assert!(check(&dir, &["dist.json"], 1).contains("is not a release manifest"));
}
