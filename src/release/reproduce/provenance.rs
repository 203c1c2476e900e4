//! The provenance of a release: what was built, and how, and the comparison with that of a rebuild.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::difference::show;
use crate::{
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        error::{Error, Result},
        schema::{
            allocator::AllocatorSetting,
            dist::{RecordedRequest, Release},
            linker::LinkerSetting,
            profile::{Preset, Unstable},
        },
    },
    release::provenance::{BUILD_TYPE, PREDICATE, STATEMENT},
};

/// The parts of a provenance that a rebuild needs.
#[derive(Clone, Debug, Default)]
pub struct ProvenanceRecord {
    /// The source, the tools and the request. The name is that of the first package.
    pub release: Release,
    /// The targets.
    pub targets: Vec<String>,
    /// The artifacts by their names.
    pub subjects: BTreeMap<String, Digest>,
    /// Whether images or archives were made.
    pub packed: bool,
}

/// Reads a provenance that longshore wrote.
///
/// # Errors
/// It is something else.
pub fn read(bytes: &[u8]) -> Result<ProvenanceRecord> {
    let reject = |why: &str| Error::check(format!("the provenance cannot be used: {why}"));
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| reject("it is not JSON").because(error))?;
    let definition = value.pointer("/predicate/buildDefinition").unwrap_or(&Value::Null);
    let expected = [
        (value.get("_type"), STATEMENT),
        (value.get("predicateType"), PREDICATE),
        (definition.get("buildType"), BUILD_TYPE),
    ];
    for (found, expected) in expected {
        if found.and_then(Value::as_str) != Some(expected) {
            let found =
                found.map_or_else(|| "nothing".to_owned(), |value| format!("`{}`", show(value)));
            return Err(reject(&format!("expected `{expected}`, found {found}")));
        }
    }
    let external = definition.get("externalParameters").unwrap_or(&Value::Null);
    let internal = definition.get("internalParameters").unwrap_or(&Value::Null);
    let source = external.get("source").unwrap_or(&Value::Null);
    let request = request(external, internal);
    let mut release = Release {
        name: request.packages.first().cloned().unwrap_or_default(),
        revision: text(source.pointer("/digest/gitCommit")),
        dirty: source.pointer("/annotations/dirty").and_then(Value::as_bool),
        source_date_epoch: internal.get("sourceDateEpoch").and_then(Value::as_u64).unwrap_or(0),
        request,
        ..Release::default()
    };
    for tool in
        definition.get("resolvedDependencies").and_then(Value::as_array).into_iter().flatten()
    {
        let uri = tool.get("uri").and_then(Value::as_str).unwrap_or_default();
        let name = uri.strip_prefix("pkg:generic/").and_then(|rest| rest.split('@').next());
        if let (Some(name), Some(version)) = (name, text(tool.pointer("/annotations/version"))) {
            release.tools.insert(name.to_owned(), version);
        }
    }
    let subjects = value.get("subject").and_then(Value::as_array).into_iter().flatten();
    let subjects = subjects.filter_map(|subject| {
        let sha256 = subject.pointer("/digest/sha256")?.as_str()?;
        Some((text(subject.get("name"))?, format!("sha256:{sha256}").parse().ok()?))
    });
    let is_packed = |name: &str| {
        external.get(name).and_then(Value::as_array).is_some_and(|all| !all.is_empty())
    };
    Ok(ProvenanceRecord {
        release,
        targets: texts(external.get("targets")),
        subjects: subjects.collect_map(),
        packed: is_packed("archives") || is_packed("images"),
    })
}

/// Returns the request that led to these parameters.
fn request(external: &Value, internal: &Value) -> RecordedRequest {
    let flag = |path: &str| external.pointer(path).and_then(Value::as_bool);
    let preset = text(external.get("preset"));
    let switches = texts(internal.get("unstable"));
    let targets = internal.get("targets").and_then(Value::as_object);
    // A setting that is the same for all targets.
    let of_targets = |key: &str| {
        let targets = targets.into_iter().flat_map(|targets| targets.values());
        let all: BTreeSet<&str> =
            targets.filter_map(|target| target.get(key)?.as_str()).collect_set();
        all.first().filter(|_| all.len() == 1).copied()
    };
    let (allocator, linker) = (of_targets("allocator"), of_targets("linker"));
    RecordedRequest {
        packages: texts(external.get("packages")),
        bins: texts(external.get("binaries")),
        features: texts(external.pointer("/features/features")),
        all_features: flag("/features/allFeatures").unwrap_or(false),
        no_default_features: flag("/features/noDefaultFeatures").unwrap_or(false),
        profile: text(external.get("profile")).filter(|profile| profile != "dist"),
        preset: Preset::ALL.into_iter().find(|known| Some(known.name()) == preset.as_deref()),
        allocator: AllocatorSetting::ALL
            .into_iter()
            .find(|known| Some(known.name()) == allocator && *known != AllocatorSetting::Auto),
        linker: LinkerSetting::ALL
            .into_iter()
            .find(|known| Some(known.name()) == linker && *known != LinkerSetting::Auto),
        pgo_profile: text(external.pointer("/pgoProfile/sha256"))
            .and_then(|hex| format!("sha256:{hex}").parse().ok()),
        unstable: Unstable::ALL
            .into_iter()
            .filter(|known| switches.iter().any(|switch| switch == known.name()))
            .collect(),
        no_locked: flag("/locked") == Some(false),
        ..RecordedRequest::default()
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|entry| text(Some(entry))).collect()
}

/// A field with two values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// The recorded value; `None` if there is none.
    pub recorded: Option<String>,
    /// The value of the rebuild.
    pub rebuilt: Option<String>,
}

/// The differences between two provenances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvenanceChanges {
    /// In the source, the request and the artifacts: another build.
    pub request: Vec<FieldChange>,
    /// In longshore's decisions: profile, flags, cargo's arguments.
    pub settings: Vec<FieldChange>,
    /// In the builder and the files of its tools.
    pub builder: Vec<FieldChange>,
}

/// Compares two provenances; `None` if one is not JSON.
pub fn compare(recorded: &[u8], rebuilt: &[u8]) -> Option<ProvenanceChanges> {
    let fields = |bytes| {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let mut all = BTreeMap::new();
        flatten(&normalize(&value), String::new(), 0, &mut all);
        Some(all)
    };
    let (old, new): (BTreeMap<String, String>, BTreeMap<String, String>) =
        (fields(recorded)?, fields(rebuilt)?);
    let mut changes = ProvenanceChanges::default();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect_set();
    for field in names.into_iter().filter(|name| old.get(*name) != new.get(*name)) {
        let change = FieldChange {
            field: field.clone(),
            recorded: old.get(field).cloned(),
            rebuilt: new.get(field).cloned(),
        };
        let is = |start: &str| field.starts_with(start);
        if is("runDetails")
            || is("source.uri")
            || is("tools.")
            || is("externalParameters.source.uri")
        {
            changes.builder.push(change);
        } else if is("internalParameters") {
            changes.settings.push(change);
        } else {
            changes.request.push(change);
        }
    }
    Some(changes)
}

/// Returns the fields of a provenance by names that do not depend on the order of lists.
fn normalize(value: &Value) -> Value {
    let mut all = serde_json::Map::new();
    let by_name = |list: Option<&Value>, all: &mut serde_json::Map<String, Value>, group: &str| {
        for entry in list.and_then(Value::as_array).into_iter().flatten() {
            let uri = entry.get("uri").and_then(Value::as_str).unwrap_or_default();
            let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
            let tool = uri.strip_prefix("pkg:generic/").and_then(|rest| rest.split('@').next());
            let key = match (group, name, tool) {
                ("subject", name, _) => format!("subject.{name}"),
                (_, name, Some(tool)) => format!("tools.{tool}.{name}"),
                (_, name, None) => name.to_owned(),
            };
            let mut entry = entry.clone();
            entry.as_object_mut().map(|fields| fields.remove("name"));
            all.insert(key, entry);
        }
    };
    let definition = value.pointer("/predicate/buildDefinition");
    by_name(value.get("subject"), &mut all, "subject");
    by_name(definition.and_then(|it| it.get("resolvedDependencies")), &mut all, "inputs");
    for (name, path) in [
        ("type", "/_type"),
        ("predicateType", "/predicateType"),
        ("buildType", "/predicate/buildDefinition/buildType"),
        ("externalParameters", "/predicate/buildDefinition/externalParameters"),
        ("internalParameters", "/predicate/buildDefinition/internalParameters"),
        ("runDetails", "/predicate/runDetails"),
    ] {
        all.insert(name.to_owned(), value.pointer(path).cloned().unwrap_or(Value::Null));
    }
    Value::Object(all)
}

/// Adds the values below `value` by their names.
fn flatten(value: &Value, name: String, depth: usize, all: &mut BTreeMap<String, String>) {
    let dot = if name.is_empty() { "" } else { "." };
    match value {
        Value::Object(fields) if depth < 16 && !fields.is_empty() => {
            for (key, inner) in fields {
                flatten(inner, format!("{name}{dot}{key}"), depth + 1, all);
            }
        }
        // Flags and features, each by its name.
        Value::Array(list) if list.iter().all(Value::is_string) => {
            for entry in list {
                all.insert(format!("{name}[{}]", show(entry)), "present".to_owned());
            }
        }
        other => drop(all.insert(name, show(other))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provenance(builder: &str, feature: &str, lto: &str, rustc: &str) -> Vec<u8> {
        let digest = "ab".repeat(32);
        json!({
            "_type": STATEMENT,
            "subject": [{ "name": "linux/amd64/bin/x", "digest": { "sha256": digest } }],
            "predicateType": PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "packages": ["x"], "binaries": ["x"], "targets": ["t"], "profile": "dist",
                        "preset": "quick", "locked": true, "archives": ["archives/x"], "images": [],
                        "features": { "features": [feature], "allFeatures": false },
                        "source": { "digest": { "gitCommit": "c0" }, "uri": builder },
                    },
                    "internalParameters": {
                        "profile": { "lto": lto }, "sourceDateEpoch": 7, "unstable": [],
                        "targets": { "t": { "allocator": "mimalloc", "linker": "zig" } },
                    },
                    "resolvedDependencies": [
                        { "name": "rustc", "uri": "pkg:generic/rustc@1.95.0",
                          "annotations": { "version": rustc } },
                        { "name": "Cargo.lock", "digest": { "sha256": digest } },
                    ],
                },
                "runDetails": { "builder": { "id": builder } },
            },
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn the_request_is_read() {
        let found = read(&provenance("b", "f", "off", "1.95.0 (c 2026-04-14)")).unwrap();
        assert_eq!(found.release.revision.as_deref(), Some("c0"));
        assert_eq!(found.release.source_date_epoch, 7);
        assert_eq!(found.release.tools["rustc"], "1.95.0 (c 2026-04-14)");
        assert_eq!(found.release.request.features, ["f"]);
        assert_eq!(found.release.request.preset, Some(Preset::Quick));
        assert_eq!(found.release.request.allocator, Some(AllocatorSetting::Mimalloc));
        assert_eq!(found.release.request.linker, Some(LinkerSetting::Zig));
        assert_eq!((found.targets, found.packed), (vec!["t".to_owned()], true));
        assert_eq!(found.subjects.len(), 1);
        for text in ["", "[]", "{}", r#"{"_type":"https://in-toto.io/Statement/v1"}"#] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_different_builder_is_not_a_different_build() {
        let one = provenance("b", "f", "off", "1");
        let changes = |other: Vec<u8>| compare(&one, &other).unwrap();
        assert_eq!(changes(one.clone()), ProvenanceChanges::default());
        let found = changes(provenance("c", "f", "off", "2"));
        assert_eq!(found.builder.len(), 3, "{found:?}");
        assert!(found.request.is_empty() && found.settings.is_empty(), "{found:?}");
        let found = changes(provenance("b", "g", "fat", "1"));
        assert_eq!(found.request[0].field, "externalParameters.features.features[f]");
        assert_eq!(found.request[1].field, "externalParameters.features.features[g]");
        assert_eq!(found.request[1].recorded, None);
        assert_eq!(found.settings[0].field, "internalParameters.profile.lto");
        assert_eq!(found.settings[0].recorded.as_deref(), Some("off"));
        assert!(found.builder.is_empty());
    }
}
