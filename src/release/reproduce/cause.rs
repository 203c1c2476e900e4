//! The likely causes of the differences between a release and its rebuild.

use std::collections::{BTreeMap, BTreeSet};

use super::provenance::{FieldChange, ProvenanceChanges};
use crate::{
    model::collect::CollectOrdered as _,
    model::schema::{
        Dist,
        reproduce::{ArtifactKind, Difference, Outcome, ReproducedArtifact, ToolVersions},
    },
};

/// The most fields, crates and files that a sentence lists.
const MAX_LISTED: usize = 5;

/// The evidence for causes.
#[derive(Clone, Copy, Debug)]
pub struct CauseEvidence<'a> {
    /// The artifacts, compared.
    pub artifacts: &'a [ReproducedArtifact],
    /// The tools.
    pub tools: &'a [ToolVersions],
    /// The differences of the provenances, if both are there.
    pub provenance: Option<&'a ProvenanceChanges>,
    /// The release and the rebuild, if the release has a `dist.json`.
    pub releases: Option<(&'a Dist, &'a Dist)>,
    /// Whether the release was made of a tree with changes.
    pub dirty: bool,
}

/// Returns the likely causes, the likeliest first; none if nothing differs.
pub fn causes(evidence: &CauseEvidence<'_>) -> Vec<String> {
    let differs = |artifact: &&ReproducedArtifact| artifact.outcome.is_failure();
    if !evidence.artifacts.iter().any(|artifact| differs(&artifact)) {
        return Vec::new();
    }
    let mut causes = Vec::new();
    if evidence.dirty {
        causes.push(
            "the release was made of a tree with changes that are not in its commit".to_owned(),
        );
    }
    causes.extend(evidence.tools.iter().filter_map(tool_cause));
    if let Some(changes) = evidence.provenance {
        for (changed, what) in [(&changes.request, "request"), (&changes.settings, "settings")] {
            // Artifacts are listed in it, and they are consequences.
            let own = changed.iter().filter(|change| !change.field.starts_with("subject."));
            let own: Vec<&FieldChange> = own.collect();
            if !own.is_empty() {
                causes.push(format!("different {what}: {}", list_changes(&own)));
            }
        }
    }
    if let Some((recorded, rebuilt)) = evidence.releases {
        causes.extend(crate_causes(recorded, rebuilt));
    }
    let outcomes = evidence.artifacts.iter().filter(|it| it.outcome == Outcome::NotRebuilt);
    let missing: Vec<&str> = outcomes.map(|it| it.path.as_str()).collect();
    if !missing.is_empty() {
        causes.push(format!(
            "the commit does not give {}: the release is of other packages, targets or formats",
            list(&missing)
        ));
    }
    let differences = evidence
        .artifacts
        .iter()
        .filter(differs)
        .filter_map(|artifact| Some((artifact.kind, artifact.difference.as_ref()?)));
    let found: BTreeSet<&str> =
        differences.filter_map(|(kind, difference)| content_cause(kind, difference)).collect_set();
    // Other code follows from another compiler or setting.
    let explained = !causes.is_empty() || found.iter().any(|cause| *cause != OTHER_SOURCE);
    let found = found.into_iter().filter(|cause| !explained || *cause != OTHER_SOURCE);
    causes.extend(found.map(str::to_owned));
    if causes.is_empty() {
        causes.push(
            "unknown: a build script or macro that uses the time, a random number or the machine; \
             `dist --twice` shows whether two builds on this machine agree"
                .to_owned(),
        );
    }
    causes
}

/// Returns the sentence about a tool with another version. Cargo itself writes no code.
fn tool_cause(tool: &ToolVersions) -> Option<String> {
    if tool.recorded == tool.used || tool.name == "cargo" {
        return None;
    }
    let version = |version: &Option<String>| {
        version.as_ref().map_or_else(|| "none".to_owned(), |version| format!("`{version}`"))
    };
    let what = match tool.name.as_str() {
        "rustc" => "another compiler",
        "zig" => "another zig, which is the linker and C compiler",
        "longshore" => "another longshore",
        "mimalloc" => "another allocator",
        _ => "another C compiler",
    };
    let (recorded, used) = (version(&tool.recorded), version(&tool.used));
    let name = &tool.name;
    Some(format!("{what}: the release was made with {name} {recorded}, the rebuild with {used}"))
}

fn list_changes(changes: &[&FieldChange]) -> String {
    let value = |value: &Option<String>| {
        value.as_ref().map_or_else(|| "nothing".to_owned(), |value| format!("`{value}`"))
    };
    let one = |change: &FieldChange| {
        let (recorded, rebuilt) = (value(&change.recorded), value(&change.rebuilt));
        let field = change.field.trim_start_matches("internalParameters.");
        let field = field.trim_start_matches("externalParameters.");
        format!("`{field}` was {recorded}, and is {rebuilt}")
    };
    // The commit is a parameter and an input.
    let all: BTreeSet<String> = changes.iter().map(|change| one(change)).collect_set();
    let mut text = all.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>().join("; ");
    if all.len() > MAX_LISTED {
        text += &format!("; and {} more", all.len() - MAX_LISTED);
    }
    text
}

fn list(names: &[&str]) -> String {
    let mut text = names
        .iter()
        .take(MAX_LISTED)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > MAX_LISTED {
        text += &format!(" and {} more", names.len() - MAX_LISTED);
    }
    text
}

/// Returns sentences about binaries that contain different crates.
fn crate_causes(recorded: &Dist, rebuilt: &Dist) -> Vec<String> {
    let mut causes = BTreeSet::new();
    for artifact in &recorded.artifacts {
        let other = rebuilt.artifacts.iter().find(|other| other.path == artifact.path);
        let (Some(old), Some(new)) =
            (&artifact.attribution, other.and_then(|other| other.attribution.as_ref()))
        else {
            continue;
        };
        let only = |a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>| {
            let names = a.keys().filter(|name| !b.contains_key(*name) && !name.starts_with('['));
            names.cloned().collect::<Vec<_>>()
        };
        for (names, whose) in [
            (only(&old.crates, &new.crates), "recorded"),
            (only(&new.crates, &old.crates), "rebuilt"),
        ] {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if !names.is_empty() {
                causes.insert(format!(
                    "a feature or a dependency: only the {whose} `{}` has code of {}",
                    artifact.name,
                    list(&names)
                ));
            }
        }
    }
    causes.into_iter().collect()
}

/// The cause if code differs, and nothing else.
const OTHER_SOURCE: &str =
    "the release was not made of this source, or was changed after its build";

/// Returns the cause that the content of a difference suggests. Documents about other artifacts have none
/// besides those of the artifacts.
fn content_cause(kind: ArtifactKind, difference: &Difference) -> Option<&'static str> {
    use ArtifactKind::{Checksums, Provenance, Sbom, Signature, Sizes};
    if matches!(kind, Checksums | Provenance | Sbom | Signature | Sizes) {
        return None;
    }
    let field = difference.field.as_deref().unwrap_or_default();
    if ["mtime", "created"].contains(&field) {
        return Some("a time: a file or an image has the time of its build");
    }
    if ["compression", "compressor"].contains(&field) {
        return Some("another compressor, or other settings of it");
    }
    let (old, new) = (difference.recorded.as_deref()?, difference.rebuilt.as_deref()?);
    if has_path(old) || has_path(new) {
        return Some("a directory of the machine is left in a file");
    }
    let is_code = difference.section.is_some();
    let readable = !is_code || old.starts_with('`') && new.starts_with('`');
    if readable && differs_in_digits(old, new) && !field.contains("sha256") {
        return Some("a time, a counter or a random number that the build writes into a file");
    }
    if is_code && matches!(difference.section.as_deref(), Some(".text" | ".rodata" | ".data")) {
        return Some(OTHER_SOURCE);
    }
    let in_archive = difference.file.is_some() && !is_code;
    (in_archive || kind == ArtifactKind::Companion)
        .then_some("a file that is not in the commit, or that the build writes differently")
}

/// Returns whether `text` has an absolute path to a directory where people build.
fn has_path(text: &str) -> bool {
    ["/home/", "/Users/", "/root/", "/builds/", "/tmp/", "/private/", "/runner/", "/workspaces/"]
        .iter()
        .any(|start| text.contains(start))
}

/// Returns whether two strings differ only in their digits.
fn differs_in_digits(old: &str, new: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    let others = |text: &str| text.chars().filter(|c| !is_digit(*c)).collect::<String>();
    old != new && old.chars().any(is_digit) && others(old) == others(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;

    fn artifact(difference: Difference) -> ReproducedArtifact {
        ReproducedArtifact {
            kind: ArtifactKind::Binary,
            path: "linux/amd64/bin/x".to_owned(),
            platform: None,
            size: None,
            sha256: Digest::sha256(b""),
            outcome: Outcome::Different,
            found: None,
            difference: Some(difference),
        }
    }

    fn cause_text(difference: Difference) -> String {
        let artifacts = [artifact(difference)];
        let evidence = CauseEvidence {
            artifacts: &artifacts,
            tools: &[],
            provenance: None,
            releases: None,
            dirty: false,
        };
        causes(&evidence).join("\n")
    }

    fn content(section: Option<&str>, old: &str, new: &str) -> Difference {
        Difference {
            section: section.map(str::to_owned),
            recorded: Some(old.to_owned()),
            rebuilt: Some(new.to_owned()),
            ..Difference::default()
        }
    }

    #[test]
    fn contents_suggest_a_cause() {
        let rodata = Some(".rodata");
        let time = cause_text(content(rodata, "`made at 12:00:01`", "`made at 12:00:02`"));
        assert!(time.contains("a time, a counter"), "{time}");
        let path = cause_text(content(rodata, "`/home/me/x.rs`", "`/workspace/x.rs`"));
        assert!(path.contains("a directory of the machine"), "{path}");
        let code = cause_text(content(Some(".text"), "0f 05 00", "0f 05 01"));
        assert!(code.contains("not made of this source"), "{code}");
        let mtime =
            cause_text(Difference { field: Some("mtime".to_owned()), ..Difference::default() });
        assert!(mtime.starts_with("a time: a file"), "{mtime}");
        assert!(cause_text(Difference::default()).starts_with("unknown: "));
    }

    #[test]
    fn tools_come_first() {
        let artifacts = [artifact(content(Some(".text"), "00", "01"))];
        let tool = |name: &str, used: &str| ToolVersions {
            name: name.to_owned(),
            recorded: Some("1".to_owned()),
            used: Some(used.to_owned()),
        };
        let tools = [tool("cargo", "2"), tool("rustc", "2"), tool("zig", "1")];
        let mut evidence = CauseEvidence {
            artifacts: &artifacts,
            tools: &tools,
            provenance: None,
            releases: None,
            dirty: false,
        };
        let found = causes(&evidence);
        assert!(found[0].starts_with("another compiler: the release was made with rustc `1`"));
        assert!(!found.iter().any(|cause| cause.contains("zig")), "{found:?}");
        let identical =
            [ReproducedArtifact { outcome: Outcome::Identical, ..artifacts[0].clone() }];
        evidence.artifacts = &identical;
        assert_eq!(causes(&evidence), Vec::<String>::new());
    }
}
