//! Lints that are denied by name, on real files: none passes in silence.

use std::fs;

use longshore::verify::LINTS;
use serde_json::Value;

use crate::{
    support::program,
    verify_archive::tar,
    verify_cli::{check, directory, fails, write},
};

/// For each lint, denied on the static program of the tests: the status, and what is printed.
#[test]
fn every_lint_finds_something_is_listed_or_lacks_an_input() {
    let dir = directory("named");
    write(&dir.join("x"), &program::amd64(), 0o755);
    for lint in &LINTS {
        let args = ["x", "--deny", lint.id];
        match lint.id {
            "machine" | "size" | "growth" | "runs" => {
                let error = fails(&dir, &args, 2);
                assert!(
                    error.contains(&format!("lint `{}` cannot be applied", lint.id)),
                    "{error}"
                );
                assert!(error.contains("\nhint: "), "{error}");
            }
            "glibc" | "libraries" => {
                let error = fails(&dir, &args, 2);
                assert!(error.contains("the policy has no `"), "{error}");
            }
            "float-abi" => {
                let text = check(&dir, &args, 0);
                assert!(text.contains(&format!("  not applied {}: ", lint.id)), "{text}");
            }
            "dynamic" | "relro" | "build-id" | "canary" | "fortify" | "audit-data" => {
                let text = check(&dir, &args, 1);
                assert!(text.contains(&format!("  deny {}: ", lint.id)), "{text}");
            }
            _ => {
                let text = check(&dir, &args, 0);
                assert!(!text.contains("not applied"), "{text}");
            }
        }
    }
}

#[test]
fn missing_inputs_of_lints_are_named() {
    let dir = directory("named-input");
    write(&dir.join("x"), &program::amd64(), 0o755);
    fs::write(dir.join("x.tar"), tar(&[("x", 0o755, &program::amd64())])).unwrap();
    for path in ["x", "x.tar", "."] {
        let error = fails(&dir, &[path, "--deny", "machine"], 2);
        assert!(error.contains("neither a target nor a known platform is given"), "{error}");
        assert!(error.contains("hint: name the target with `--target TRIPLE`"), "{error}");
    }
    check(&dir, &["x", "--deny", "machine", "--target", "x86_64-unknown-linux-musl"], 0);
    check(&dir, &["x", "--deny", "machine", "--target", "aarch64-unknown-linux-musl"], 1);
    fails(&dir, &["x", "--warn", "machine"], 2);
    for (policy, status) in [
        ("deny = ['machine']", 2),
        ("deny = ['size']", 2),
        ("warn = ['libraries']", 2),
        ("deny = ['size']\nmax-size.file = 10", 1),
        ("deny = ['size']\nmax-size.file = '1 MB'", 0),
        ("deny = ['dynamic']", 1),
        ("warn = ['dynamic']", 0),
    ] {
        fs::write(dir.join("policy.toml"), policy).unwrap();
        let args = ["x", "--policy", "policy.toml"];
        if status == 2 {
            fails(&dir, &args, 2);
        } else {
            let text = check(&dir, &args, status);
            assert_eq!(policy.contains("dynamic"), text.contains(" dynamic: "), "{text}");
        }
    }
}

#[test]
fn skipped_lints_are_reported_with_a_reason() {
    let dir = directory("named-json");
    write(&dir.join("x"), &program::amd64(), 0o755);
    let json = check(&dir, &["x", "--warn", "float-abi", "--message-format", "json"], 0);
    assert_ne!(crate::schema::valid("verify.v1", &json), Some(false));
    let json: Value = serde_json::from_str(&json).unwrap();
    let verdict = &json["checked"][0]["verdict"];
    let listed = verdict["not-applied"].as_array().unwrap();
    let find_lint = |lint: &str| listed.iter().find(|entry| entry["lint"] == lint);
    assert_eq!(find_lint("float-abi").unwrap()["requested"], true);
    assert_eq!(find_lint("canary").unwrap()["reason"], "it is off by default");
    assert_eq!(find_lint("machine").unwrap().get("requested"), None);
    // Each lint is either applied or listed.
    let applied = verdict["lints"].as_array().unwrap();
    for lint in &LINTS {
        let is = applied.iter().any(|id| id == lint.id);
        assert_ne!(is, find_lint(lint.id).is_some(), "{}", lint.id);
    }
    // What is off or does not apply by default is not told to people.
    assert_eq!(check(&dir, &["x"], 0).lines().count(), 1);
}
