//! SARIF 2.1.0, which GitHub's code scanning and others read
//! (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).

use serde_json::{Value, json};

use super::{
    super::{ARCHIVE, LINTS, PACKED, READABLE, RECORD, SIGNATURE},
    findings, level_name,
};
use crate::model::{markup::escape_text, schema::verify::Verification};

/// Returns one run with every finding as a result, every lint as a rule, and unchecked files as
/// notifications.
pub fn sarif(verification: &Verification) -> Value {
    let rules = rules();
    let index = |id: &str| rules.iter().position(|rule| rule["id"] == id);
    let results: Vec<Value> = findings(verification)
        .map(|(checked, found)| {
            let text =
                escape_links(&format!("{}: {}. {}", found.message, found.evidence, found.hint));
            let mut result = json!({
                "ruleId": found.lint,
                "level": level_name(found.level),
                "message": { "text": text },
                "locations": [location(&checked.path)],
            });
            if let Some(reason) = &found.waived {
                result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
            }
            if let Some(index) = index(&found.lint) {
                result["ruleIndex"] = index.into();
            }
            result
        })
        .collect();
    let notifications: Vec<Value> = verification
        .not_checked
        .iter()
        .map(|file| {
            json!({
                "level": "note",
                "message": { "text": escape_links(&format!("not checked: {}", file.reason)) },
                "locations": [location(&file.path)],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "longshore",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    })
}

fn rules() -> Vec<Value> {
    let own = [
        (READABLE, "can be read"),
        (PACKED, "is not hidden by a packer"),
        (SIGNATURE, "matches its signature"),
        (RECORD, "matches its record or digest"),
        (ARCHIVE, "has no entry outside of its directory"),
    ];
    let own = own.into_iter().map(|(id, requirement)| {
        json!({
            "id": id,
            "shortDescription": { "text": format!("The file {requirement}.") },
            "defaultConfiguration": { "level": "error" },
        })
    });
    let lints = LINTS.iter().map(|lint| {
        let help = format!("Detected: {}\n\nLimitations: {}", lint.method, lint.limitations);
        json!({
            "id": lint.id,
            "shortDescription": { "text": format!("The file {}.", lint.requirement) },
            "fullDescription": { "text": lint.purpose },
            "help": { "text": help },
            "defaultConfiguration": { "level": level_name(lint.level) },
        })
    });
    own.chain(lints).collect()
}

fn location(path: &str) -> Value {
    json!({ "physicalLocation": { "artifactLocation": { "uri": to_uri(path) } } })
}

/// Escapes text so that it has no embedded links (SARIF 2.1.0, 3.11.6) and no hidden characters.
fn escape_links(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]");
    escape_text(&text)
}

/// Returns the path as a URI reference (RFC 3986, "Characters"): relative if the path is relative.
fn to_uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let mut out = scheme.to_owned();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
