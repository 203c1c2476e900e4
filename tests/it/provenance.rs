//! The provenance of a release, also as in-toto's own library reads it.

use std::{fs, path::Path, process::Command};

use longshore::model::digest::Digest;
use serde_json::Value;

use crate::{
    dist::{dist, shared},
    support::{command::longshore, peer, workspace::Workspace},
};

const AMD64: &str = "--target x86_64-unknown-linux-musl --no-smoke";

/// Reads the statement and the predicate with in-toto's own types, which know no other fields.
const VALIDATE: &str = r#"
import json, sys
from google.protobuf import json_format
from in_toto_attestation.v1 import statement, statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
text = open(sys.argv[1]).read()
pb = json_format.Parse(text, statement_pb2.Statement())
statement.Statement.copy_from_pb(pb).validate()
provenance = json_format.ParseDict(json.loads(text)["predicate"], provenance_pb2.Provenance())
assert provenance.build_definition.build_type and provenance.run_details.builder.id
for of in provenance.build_definition.resolved_dependencies:
    ResourceDescriptor.copy_from_pb(of).validate()
print("valid")
"#;

/// Returns the statement in a `target/dist`, with its path.
fn statement(workspace: &Workspace, json: &Value) -> (String, Value) {
    let documents = json["documents"].as_array().unwrap();
    let document = documents.iter().find(|document| document["kind"] == "provenance").unwrap();
    let path = document["path"].as_str().unwrap();
    let bytes = fs::read(workspace.dist().join(path)).unwrap();
    assert_eq!(document["sha256"], Digest::sha256(&bytes).to_string());
    (path.to_owned(), serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn the_statement_has_all_outputs_and_inputs() {
    let (workspace, json) = shared();
    let (path, statement) = statement(workspace, json);
    assert_eq!(path, "archives/hello-0.1.0.intoto.json");
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let subjects = statement["subject"].as_array().unwrap();
    let has = |digest: &Value| {
        let hex = digest.as_str().unwrap().trim_start_matches("sha256:");
        assert!(
            subjects.iter().any(|subject| subject["digest"]["sha256"] == hex),
            "no {hex} in {subjects:#?}"
        );
    };
    json["artifacts"].as_array().unwrap().iter().for_each(|item| has(&item["sha256"]));
    has(&json["images"][0]["digest"]);
    json["images"][0]["platforms"]
        .as_array()
        .unwrap()
        .iter()
        .for_each(|item| has(&item["manifest"]));
    let names: Vec<_> = subjects.iter().map(|subject| subject["name"].as_str().unwrap()).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    let definition = &statement["predicate"]["buildDefinition"];
    let materials = definition["resolvedDependencies"].as_array().unwrap();
    for name in ["rustc", "cargo", "zig", "Cargo.lock"] {
        let material = materials.iter().find(|material| material["name"] == name).unwrap();
        assert_eq!(material["digest"]["sha256"].as_str().unwrap().len(), 64, "{material}");
    }
    let lock = fs::read(workspace.path("Cargo.lock")).unwrap();
    let material = materials.iter().find(|material| material["name"] == "Cargo.lock").unwrap();
    assert_eq!(material["digest"]["sha256"], Digest::sha256(&lock).hex());
    assert_eq!(definition["externalParameters"]["packages"], serde_json::json!(["hello"]));
    // No directory of this machine.
    let text = statement.to_string();
    assert!(text.contains("--remap-path-prefix=$WORKSPACE="), "{text}");
    for place in [workspace.root(), &peer::cargo_home(), Path::new(&std::env::var("HOME").unwrap())]
    {
        assert!(!text.contains(place.to_str().unwrap()), "{} in {text}", place.display());
    }
}

#[test]
fn in_toto_reads_it() {
    let (workspace, json) = shared();
    let (path, _) = statement(workspace, json);
    let Some(python) = peer::find("python3") else { return };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/in-toto");
    if !dir.join("in_toto_attestation").exists() {
        peer::skip("`cargo xtask test` unpacks in-toto-attestation, a Python package");
        return;
    }
    let mut command = Command::new(python);
    command.env("PYTHONPATH", dir).args(["-c", VALIDATE]).arg(workspace.dist().join(path));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "valid\n");
}

#[test]
fn the_builder_comes_from_the_ci_system_and_reruns_give_equal_bytes() {
    let workspace = Workspace::hello();
    let git = |args: &str| {
        let git = peer::find("git")?;
        let user = ["-c", "user.name=it", "-c", "user.email=it@example.org"];
        let mut command = crate::support::command::plain(git);
        command.args(user).args(args.split_whitespace()).current_dir(workspace.root());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    workspace.write(".gitignore", "target\n");
    let Some(_) = git("init -q") else { return };
    git("add -A");
    git("commit -q -m one");
    let hash = git("rev-parse HEAD").unwrap();
    let made = |run: &str| {
        let json = dist(&workspace, AMD64)
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_SERVER_URL", "https://git.example.org")
            .env("GITHUB_REPOSITORY", "me/hello")
            .env("GITHUB_WORKFLOW_REF", "me/hello/.github/workflows/release.yml@refs/tags/v1")
            .env("GITHUB_RUN_ID", run)
            .run()
            .json();
        statement(&workspace, &json).1
    };
    let first = made("1");
    assert_eq!(made("2"), first);
    let predicate = &first["predicate"];
    let id = "https://git.example.org/me/hello/.github/workflows/release.yml@refs/tags/v1";
    assert_eq!(predicate["runDetails"]["builder"]["id"], id);
    let source = &predicate["buildDefinition"]["externalParameters"]["source"];
    assert_eq!(source["uri"], "git+https://git.example.org/me/hello");
    assert_eq!(source["digest"]["gitCommit"], hash);
    assert_eq!(&predicate["buildDefinition"]["resolvedDependencies"][0], source);
    assert_eq!(source.get("annotations"), None);
    // What was built is not what was committed.
    workspace.write("src/main.rs", "fn main() { println!(\"other\") }\n");
    assert_eq!(
        made("3")["predicate"]["buildDefinition"]["resolvedDependencies"][0]["annotations"]["dirty"],
        true
    );
    // Without images there is nothing to publish, and nothing is said of it.
    let json = longshore(&workspace, &format!("build --message-format json {AMD64}")).run().json();
    assert_eq!(json.get("documents"), None);
}
