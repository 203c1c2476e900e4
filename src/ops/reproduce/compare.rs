//! The comparison of every recorded artifact with the rebuild.

use std::collections::{BTreeMap, BTreeSet};

use super::{SharedSession, explain::Explainer, rebuild::Rebuild, record::ReleaseRecord};
use crate::{
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        error::Result,
        schema::{
            Dist,
            dist::DocumentKind,
            reproduce::{ArtifactKind, Difference, Outcome, ReproducedArtifact, ToolVersions},
        },
    },
    ops::package::checksum,
    release::reproduce::{
        RecordedItem,
        cause::{CauseEvidence, causes},
        difference::content_difference,
        items::{items, record_difference, subject_name},
        provenance::{self, FieldChange, ProvenanceChanges},
    },
    sys::{Context, fs},
};

/// The largest document that is compared field by field.
const MAX_DOCUMENT: u64 = 64 << 20;

/// The result of the comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) artifacts: Vec<ReproducedArtifact>,
    pub(super) unrecorded: Vec<String>,
    pub(super) tools: Vec<ToolVersions>,
    pub(super) causes: Vec<String>,
}

/// Compares every recorded artifact with the rebuilt one.
///
/// # Errors
/// A rebuilt file cannot be read.
pub(super) fn compare(
    cx: &Context,
    session: &SharedSession,
    record: &ReleaseRecord,
    rebuild: &Rebuild,
) -> Result<Comparison> {
    let changes = provenance_changes(record, rebuild);
    let rebuilt = items(&rebuild.dist);
    let by_name: BTreeMap<&str, &RecordedItem> =
        rebuilt.iter().map(|item| (subject_name(&item.path), item)).collect_map();
    let mut explainer = Explainer::new(cx, session, record, rebuild);
    let sums = expected_checksums(record, &rebuild.dist);
    let mut artifacts = Vec::new();
    for item in &record.items {
        cx.children.check()?;
        let other = by_name.get(subject_name(&item.path)).copied();
        artifacts.push(match item.kind {
            ArtifactKind::Signature => {
                let note = Some("a signature is made by a key, and not by a build".to_owned());
                let difference = Some(Difference { note, ..Difference::default() });
                ReproducedArtifact { difference, ..artifact(item, Outcome::Statement) }
            }
            ArtifactKind::Provenance => provenance_artifact(item, other, changes.as_ref()),
            ArtifactKind::Checksums => checksums_artifact(record, item, &sums),
            _ => compare_one(&mut explainer, record, rebuild, item, other),
        });
    }
    let recorded: BTreeSet<&str> =
        record.items.iter().map(|item| subject_name(&item.path)).collect_set();
    let unrecorded = rebuilt.iter().filter(|item| {
        let is_there = recorded.contains(subject_name(&item.path));
        // An image in a registry is one of several, and has no checksums.
        let is_document = matches!(item.kind, ArtifactKind::Provenance | ArtifactKind::Checksums);
        !is_there && record.dist.is_some() && !is_document
    });
    let unrecorded = unrecorded.map(|item| item.path.clone()).collect();
    let tools = tool_versions(record, &rebuild.dist);
    let causes = causes(&CauseEvidence {
        artifacts: &artifacts,
        tools: &tools,
        provenance: changes.as_ref(),
        releases: record.dist.as_ref().map(|dist| (dist, &rebuild.dist)),
        dirty: record.release.dirty == Some(true),
    });
    Ok(Comparison { artifacts, unrecorded, tools, causes })
}

/// Returns an artifact without a comparison.
pub(super) fn artifact(item: &RecordedItem, outcome: Outcome) -> ReproducedArtifact {
    ReproducedArtifact {
        kind: item.kind,
        path: item.path.clone(),
        platform: item.platform.clone(),
        size: item.size,
        sha256: item.sha256,
        outcome,
        found: None,
        difference: None,
    }
}

fn compare_one(
    explainer: &mut Explainer<'_>,
    record: &ReleaseRecord,
    rebuild: &Rebuild,
    item: &RecordedItem,
    other: Option<&RecordedItem>,
) -> ReproducedArtifact {
    let Some(other) = other else { return artifact(item, Outcome::NotRebuilt) };
    // A provenance has no kinds.
    let item = &RecordedItem {
        kind: other.kind,
        platform: item.platform.clone().or_else(|| other.platform.clone()),
        ..item.clone()
    };
    let (outcome, difference) = if other.sha256 != item.sha256 {
        (Outcome::Different, Some(explainer.explain(item, other)))
    } else {
        let recorded = record.dist.as_ref();
        let found = recorded.and_then(|dist| record_difference(dist, &rebuild.dist, &item.path));
        match found {
            Some(found) => (Outcome::Different, Some(found)),
            None => (Outcome::Identical, None),
        }
    };
    ReproducedArtifact { found: Some(other.sha256), difference, ..artifact(item, outcome) }
}

/// Returns the tools of both, by name.
fn tool_versions(record: &ReleaseRecord, rebuilt: &Dist) -> Vec<ToolVersions> {
    let (recorded, used) = (&record.release.tools, &rebuilt.release.tools);
    let names: BTreeSet<&String> = recorded.keys().chain(used.keys()).collect_set();
    names
        .into_iter()
        .map(|name| ToolVersions {
            name: name.clone(),
            recorded: recorded.get(name).cloned(),
            used: used.get(name).cloned(),
        })
        .collect()
}

/// Returns the differences of the two provenances; `None` if one is not there.
fn provenance_changes(record: &ReleaseRecord, rebuild: &Rebuild) -> Option<ProvenanceChanges> {
    let recorded = record.provenance()?;
    let mut documents = rebuild.dist.documents.iter();
    let own = documents.find(|document| document.kind == DocumentKind::Provenance)?;
    let rebuilt = fs::read_start(&rebuild.output.join(&own.path), MAX_DOCUMENT).ok()?;
    provenance::compare(&recorded, &rebuilt)
}

/// Returns the outcome for a provenance: it describes the original build, so that only its request and its
/// artifacts have to be those of the rebuild.
fn provenance_artifact(
    item: &RecordedItem,
    other: Option<&RecordedItem>,
    changes: Option<&ProvenanceChanges>,
) -> ReproducedArtifact {
    let found = other.map(|other| other.sha256);
    if found == Some(item.sha256) {
        return ReproducedArtifact { found, ..artifact(item, Outcome::Identical) };
    }
    let of = |change: &FieldChange, note: &str| Difference {
        field: Some(change.field.clone()),
        recorded: change.recorded.clone(),
        rebuilt: change.rebuilt.clone(),
        note: Some(note.to_owned()),
        ..Difference::default()
    };
    let (outcome, difference) = match changes {
        Some(changes) => match (changes.request.first(), changes.settings.first()) {
            (Some(change), _) => (Outcome::Different, of(change, "it describes another build")),
            (None, setting) => {
                let mut builder = changes.builder.iter();
                let change = builder.find(|change| change.field.starts_with("runDetails"));
                let change = change.or(changes.builder.first()).or(setting);
                let note = "it has the same source and request, and describes the original build";
                let difference = match change {
                    Some(change) => of(change, note),
                    None => Difference { note: Some(note.to_owned()), ..Difference::default() },
                };
                (Outcome::Statement, difference)
            }
        },
        None => {
            let note = "it describes the original build, and is not compared";
            (
                Outcome::Statement,
                Difference { note: Some(note.to_owned()), ..Difference::default() },
            )
        }
    };
    ReproducedArtifact { found, difference: Some(difference), ..artifact(item, outcome) }
}

/// Returns the files of checksums that the release should have, by path, with the digests of the rebuilt files, and of the
/// recorded statements.
fn expected_checksums(record: &ReleaseRecord, rebuilt: &Dist) -> BTreeMap<String, String> {
    let Some(recorded) = &record.dist else { return BTreeMap::new() };
    let is_statement = |kind| {
        matches!(kind, DocumentKind::Provenance | DocumentKind::Minisign | DocumentKind::Sigstore)
    };
    let mut expected = rebuilt.clone();
    // A merged release lacks documents of its parts; what only the rebuild has is reported separately.
    let paths: BTreeSet<&str> = record.items.iter().map(|item| item.path.as_str()).collect_set();
    expected.archives.retain(|archive| paths.contains(archive.path.as_str()));
    expected.channels.retain(|channel| paths.contains(channel.path.as_str()));
    expected
        .documents
        .retain(|document| !is_statement(document.kind) && paths.contains(document.path.as_str()));
    let statements = recorded.documents.iter().filter(|document| is_statement(document.kind));
    expected.documents.extend(statements.cloned());
    checksum::texts(&expected).into_iter().map(|file| (file.path, file.text)).collect_map()
}

fn checksums_artifact(
    record: &ReleaseRecord,
    item: &RecordedItem,
    expected: &BTreeMap<String, String>,
) -> ReproducedArtifact {
    let Some(text) = expected.get(&item.path) else { return artifact(item, Outcome::NotRebuilt) };
    let found = Digest::sha256(text.as_bytes());
    if found == item.sha256 {
        return ReproducedArtifact { found: Some(found), ..artifact(item, Outcome::Identical) };
    }
    let own = record.file(&item.path);
    let own = own.and_then(|path| fs::read_start(&path, MAX_DOCUMENT).ok());
    let difference = match own {
        Some(own) => content_difference(&own, text.as_bytes()),
        None => None,
    };
    let difference = difference.unwrap_or_else(|| Difference {
        note: Some("it lists other digests".to_owned()),
        ..Difference::default()
    });
    ReproducedArtifact {
        found: Some(found),
        difference: Some(difference),
        ..artifact(item, Outcome::Different)
    }
}
