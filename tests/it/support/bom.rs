//! Bills of materials, as other people's programs read them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use longshore::model::digest::Digest;
use serde_json::Value;

use super::{command::plain, peer, workspace::Workspace};

/// Returns the directory that `bom.sh` filled.
fn peers() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/bom");
    if !dir.join("done").exists() {
        peer::skip("run `sh tests/it/support/bom.sh target/peers/bom` first");
        return None;
    }
    Some(dir)
}

/// Returns the errors of these documents.
fn faults(peers: &Path, files: &[PathBuf]) -> String {
    let mut command = Command::new("python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/bom.py");
    command.env("PYTHONPATH", peers.join("python")).arg(script).arg(peers.join("spdx.json"));
    let output = command.args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the list in a binary, as rust-audit-info reads it: name and version of each crate, and whether only
/// the build needs it.
pub(crate) fn list(file: &Path) -> Option<BTreeMap<String, bool>> {
    let text = peer::run(&peers()?.join("bin/rust-audit-info"), [file]);
    let json: Value = serde_json::from_str(&text).unwrap();
    let packages = json["packages"].as_array().unwrap();
    assert_eq!(packages.iter().filter(|one| one["root"] == true).count(), 1, "{json}");
    let one = |one: &Value| {
        let name = format!("{} v{}", one["name"].as_str()?, one["version"].as_str()?);
        Some((name, one["kind"] == "build"))
    };
    packages.iter().map(one).collect()
}

/// Returns the output of `cargo tree` for `target`, without dependencies of tests.
fn tree(workspace: &Workspace, target: &str, edges: &str) -> BTreeSet<String> {
    let mut command = plain("cargo");
    let args = ["tree", "--locked", "--prefix", "none", "--format", "{p}", "--target", target];
    command.args(args).args(["--edges", edges]).current_dir(workspace.root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split(" (").next().unwrap().to_owned()).collect()
}

/// Holds everything that was said of what is in the `dist` of a workspace of one package against
/// cargo, against the schemas, and against what is there.
pub(crate) fn check(workspace: &Workspace, dist: &Value) {
    let Some(peers) = peers() else { return };
    let mut crates = BTreeMap::new();
    for artifact in dist["artifacts"].as_array().unwrap() {
        let target = artifact["target"].as_str().unwrap();
        let file = workspace.dist().join(artifact["path"].as_str().unwrap());
        let list = list(&file).unwrap();
        let names: BTreeSet<String> = list.keys().cloned().collect();
        assert_eq!(names, tree(workspace, target, "normal,build"), "{target}");
        let ships = list.iter().filter(|(_, build)| !**build).map(|(name, _)| name.clone());
        let normal = tree(workspace, target, "normal,no-proc-macro");
        assert_eq!(ships.collect::<BTreeSet<_>>(), normal, "{target}");
        crates.insert(target.to_owned(), names);
    }
    let mut files = Vec::new();
    for document in dist["documents"].as_array().unwrap() {
        let kind = document["kind"].as_str().unwrap();
        let path = workspace.dist().join(document["path"].as_str().unwrap());
        let text = fs::read(&path).unwrap();
        assert_eq!(document["sha256"], Digest::sha256(&text).to_string());
        if !["cyclonedx", "spdx"].contains(&kind) {
            continue;
        }
        let json: Value = serde_json::from_slice(&text).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if kind == "cyclonedx" {
            let whose = crates.iter().filter(|(target, _)| name.contains(target.as_str()));
            let expected = match name.contains(".image.") {
                true => crates.values().flatten().cloned().collect(),
                false => whose.flat_map(|(_, names)| names).cloned().collect::<BTreeSet<_>>(),
            };
            let named = cyclonedx(&json);
            assert!(expected.is_subset(&named), "{name}: {expected:?} in {named:?}");
        }
        // It is of these very bytes.
        let text = String::from_utf8(text).unwrap();
        for artifact in dist["artifacts"].as_array().unwrap() {
            let hex = artifact["sha256"].as_str().unwrap().trim_start_matches("sha256:");
            let of_it = name.contains(artifact["target"].as_str().unwrap());
            assert!(text.contains(hex) || !of_it && !name.contains(".image."), "{name}");
        }
        files.push(path);
    }
    let images = dist["images"].as_array().unwrap().len();
    assert_eq!(files.len(), 2 * (crates.len() + images));
    assert_eq!(faults(&peers, &files), "");
    // And whoever says so looks.
    let broken: Vec<PathBuf> = ["cdx", "spdx"]
        .map(|kind| {
            let path = workspace.root().join(format!("target/broken.{kind}.json"));
            let good = files.iter().find(|file| file.to_str().unwrap().contains(kind)).unwrap();
            let text = fs::read_to_string(good).unwrap();
            fs::write(&path, text.replace("\"name\"", "\"nom\"")).unwrap();
            path
        })
        .into();
    assert!(faults(&peers, &broken).matches("broken.").count() >= 2);
}

/// Returns name and version of the document's subject and of every crate in it.
fn cyclonedx(json: &Value) -> BTreeSet<String> {
    let components = json["components"].as_array().unwrap();
    let all = components.iter().chain([&json["metadata"]["component"]]);
    let one = |one: &Value| {
        let version = one["version"].as_str().unwrap_or_default();
        format!("{} v{version}", one["name"].as_str().unwrap())
    };
    all.map(one).collect()
}
