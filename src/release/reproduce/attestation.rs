//! The attestation of a rebuild: an in-toto statement (v1) with the predicate "Simple Verification Result" 0.1
//! (<https://github.com/in-toto/attestation/blob/main/spec/predicates/svr.md>). It has an artifact as a subject
//! only if the rebuild gave the same bytes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::items::subject_name;
use crate::{
    model::{
        collect::CollectOrdered as _,
        error::Result,
        json::{Style, to_bytes},
        schema::{Reproduction, reproduce::Outcome},
    },
    release::provenance::STATEMENT,
};

/// The type of the predicate.
pub const PREDICATE: &str = "https://in-toto.io/attestation/svr/v0.1";

/// The verifier, which defines the property; docs/reproduce.md describes it.
pub const VERIFIER: &str = "urn:longshore:reproduce:v1";

/// The property of an artifact that was rebuilt from its source with the same bytes.
pub const REPRODUCED: &str = "LONGSHORE_REPRODUCED";

/// Returns the statement about the artifacts that were reproduced at `time` (RFC 3339).
///
/// # Errors
/// It cannot be written as JSON.
pub fn statement(reproduction: &Reproduction, time: &str) -> Result<Vec<u8>> {
    let identical = |outcome| outcome == Outcome::Identical;
    let subjects: Vec<Value> = reproduction
        .artifacts
        .iter()
        .filter(|artifact| identical(artifact.outcome))
        .map(|artifact| {
            let name = subject_name(&artifact.path);
            json!({ "name": name, "digest": { "sha256": artifact.sha256.hex() } })
        })
        .collect();
    let tools: BTreeMap<&str, &str> = reproduction
        .tools
        .iter()
        .filter_map(|tool| Some((tool.name.as_str(), tool.used.as_deref()?)))
        .collect_map();
    let statement = json!({
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "verifier": {
                "id": VERIFIER,
                "version": { "longshore": env!("CARGO_PKG_VERSION") },
            },
            "timeCreated": time,
            "properties": [REPRODUCED],
            // Extensions, which readers of the predicate ignore if they do not know them.
            "release": { "name": reproduction.name, "version": reproduction.version },
            "source": { "digest": { "gitCommit": reproduction.revision } },
            "tools": tools,
        },
    });
    let mut bytes = to_bytes(&statement, Style::Indented)?;
    bytes.push(b'\n');
    Ok(bytes)
}
