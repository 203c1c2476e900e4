//! JSON outputs match the checked-in schemas.

use std::path::Path;

use crate::support::{command::longshore, peer, workspace::Workspace};

/// Holds `json` to `docs/schema/<name>.json`, as check-jsonschema sees it.
pub(crate) fn valid(name: &str, json: &str) -> Option<bool> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    valid_by(&repository.join(format!("docs/schema/{name}.json")), json, &[])
}

/// Holds `json` to the schema of SARIF 2.1.0, which is fetched and not checked in.
pub(crate) fn valid_sarif(json: &str) -> Option<bool> {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/sarif/schema.json");
    if !schema.exists() {
        peer::skip("no SARIF schema: `sh tests/it/support/sarif.sh target/peers/sarif`");
        return None;
    }
    // One of its patterns is none under the rules for Unicode.
    valid_by(&schema, json, &["--regex-variant", "nonunicode"])
}

fn valid_by(schema: &Path, json: &str, args: &[&str]) -> Option<bool> {
    let mut command = peer::check_jsonschema()?;
    let file = Workspace::empty().file("it.json", json);
    command.args(args).arg("--schemafile").arg(schema).arg(file.path("it.json"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // 1 is what it says of a file that does not match; everything else is another trouble.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{command:?}: {output:?}");
    if !output.status.success() {
        eprintln!("{said}");
    }
    Some(output.status.success())
}

#[test]
fn plans_and_reports_match_their_schemas() {
    let workspace = Workspace::members(&["app", "xtask"], "");
    let plan = longshore(&workspace, "plan --message-format json").run().stdout;
    let Some(plan_is_valid) = valid("plan.v1", &plan) else { return };
    assert!(plan_is_valid);
    let doctor = longshore(&workspace, "doctor --message-format json").run().stdout;
    assert_eq!(valid("doctor.v1", &doctor), Some(true));
    // And a schema that takes anything is none.
    let broken = plan.replace("\"jobs\"", "\"job\"");
    assert_eq!(valid("plan.v1", &broken), Some(false));
    assert_eq!(valid("dist.v1", &plan), Some(false));
}

#[test]
fn dist_json_matches_its_schema() {
    let (_, json) = crate::dist::shared();
    let Some(is_valid) = valid("dist.v1", &json.to_string()) else { return };
    assert!(is_valid);
    let mut broken = json.clone();
    broken["artifacts"][0]["sha256"] = 1.into();
    assert_eq!(valid("dist.v1", &broken.to_string()), Some(false));
}
