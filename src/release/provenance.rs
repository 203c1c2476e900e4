//! Provenance: an in-toto statement (in-toto attestation framework, "Statement" v1) with SLSA's provenance
//! (<https://slsa.dev/spec/v1.0/provenance>). The same source, tools and builder give the same bytes: it
//! contains nothing of a clock, of a directory or of a run.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    build::request::BuildRequest,
    model::{
        collect::{CollectOrdered as _, SortStable as _},
        digest::Digest,
        error::Result,
        json::{Style, to_bytes},
        schema::{
            Dist, Plan,
            dist::{Document, DocumentKind},
        },
    },
};

/// The type of a statement.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// The type of SLSA's provenance.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// The build type, which defines the parameters; docs/provenance.md describes it.
pub const BUILD_TYPE: &str = "urn:longshore:build:v1";

/// The builder outside of CI systems.
pub const LOCAL: &str = "urn:longshore:builder:local";

/// The facts about source and machine, besides plan and result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvenanceFacts {
    /// The URL of the source.
    pub repository: Option<String>,
    /// The digest of `Cargo.lock`.
    pub lock: Option<Digest>,
    /// The digests of tools' files, by the tool's name and the file's.
    pub files: Vec<ToolFile>,
    /// The URI of the builder.
    pub builder: Option<String>,
    /// Directories of the machine, each with its replacement: otherwise they would be the only difference
    /// between two builds.
    pub directories: Vec<(String, String)>,
}

/// A file that a tool consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolFile {
    /// The tool, as in `dist.json`.
    pub tool: String,
    /// The file's own name.
    pub file: String,
    /// Its digest.
    pub sha256: Digest,
}

/// in-toto's "ResourceDescriptor" v1, as far as it is used.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    digest: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, Value>,
}

impl Resource {
    fn file(name: impl Into<String>, sha256: Digest) -> Self {
        let digest = BTreeMap::from([("sha256", sha256.hex())]);
        Resource { name: Some(name.into()), uri: None, digest, annotations: BTreeMap::new() }
    }
}

/// Returns the file's name: that of the release, with `.intoto.json` at the end.
pub fn file_name(dist: &Dist) -> String {
    let release = &dist.release;
    match &release.version {
        Some(version) => format!("{}-{version}.intoto.json", release.name),
        None => format!("{}.intoto.json", release.name),
    }
}

/// Returns the statement, as JSON.
///
/// # Errors
/// It cannot be written as JSON.
pub fn statement(
    dist: &Dist,
    plan: &Plan,
    request: &BuildRequest,
    known: &ProvenanceFacts,
) -> Result<Vec<u8>> {
    let builder = known.builder.as_deref().unwrap_or(LOCAL);
    let statement = json!({
        "_type": STATEMENT,
        "subject": subjects(dist),
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": external_parameters(dist, plan, request, known),
                "internalParameters": internal_parameters(plan, known),
                "resolvedDependencies": dependencies(dist, known),
            },
            "runDetails": {
                "builder": {
                    "id": builder,
                    "version": { "longshore": dist.release.tools.get("longshore") },
                },
            },
        },
    });
    let mut bytes = to_bytes(&statement, Style::Indented)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Returns whether a document is listed. Checksums and signatures are written later.
fn is_subject(document: &Document) -> bool {
    match document.kind {
        DocumentKind::Cyclonedx | DocumentKind::Spdx => true,
        DocumentKind::Checksums
        | DocumentKind::Provenance
        | DocumentKind::Minisign
        | DocumentKind::Sigstore => false,
    }
}

/// Returns all outputs. Downloads are listed by their file name alone, the only name that users have;
/// everything else by its path in the release.
fn subjects(dist: &Dist) -> Vec<Resource> {
    let name = |path: &str| path.strip_prefix("archives/").unwrap_or(path).to_owned();
    let mut all: Vec<Resource> = Vec::new();
    all.extend(
        dist.artifacts.iter().map(|artifact| Resource::file(name(&artifact.path), artifact.sha256)),
    );
    let debug = dist.artifacts.iter().filter_map(|artifact| artifact.debug.as_ref());
    all.extend(debug.map(|entry| Resource::file(name(&entry.path), entry.sha256)));
    let sizes = dist.artifacts.iter().filter_map(|artifact| artifact.attribution.as_ref());
    all.extend(sizes.map(|record| Resource::file(name(&record.path), record.sha256)));
    all.extend(
        dist.companions
            .iter()
            .map(|companion| Resource::file(name(&companion.path), companion.sha256)),
    );
    all.extend(
        dist.archives.iter().map(|archive| Resource::file(name(&archive.path), archive.sha256)),
    );
    all.extend(
        dist.channels.iter().map(|channel| Resource::file(name(&channel.path), channel.sha256)),
    );
    let documents = dist.documents.iter().filter(|document| is_subject(document));
    all.extend(documents.map(|document| Resource::file(name(&document.path), document.sha256)));
    for image in &dist.images {
        all.push(Resource::file(image.path.clone(), image.digest));
        // One platform's image has no index above it.
        let inner = image.platforms.iter().filter(|platform| platform.manifest != image.digest);
        all.extend(inner.map(|platform| {
            Resource::file(format!("{}@{}", image.path, platform.platform), platform.manifest)
        }));
    }
    all
}

/// Returns the request: everything that a user could have chosen differently.
fn external_parameters(
    dist: &Dist,
    plan: &Plan,
    request: &BuildRequest,
    known: &ProvenanceFacts,
) -> Value {
    let sorted = |all: Vec<&str>| {
        let mut all: Vec<String> = all.into_iter().map(str::to_owned).collect();
        all.sort_stable();
        all.dedup();
        all
    };
    let artifacts = || dist.artifacts.iter();
    let mut value = json!({
        "packages": sorted(artifacts().map(|artifact| artifact.package.as_str()).collect()),
        "binaries": sorted(artifacts().map(|artifact| artifact.name.as_str()).collect()),
        "targets": sorted(artifacts().map(|artifact| artifact.target.as_str()).collect()),
        "profile": plan.profile.name,
        "features": {
            "features": request.features.features,
            "allFeatures": request.features.all_features,
            "noDefaultFeatures": request.features.no_default_features,
        },
        "locked": request.locked,
        "images": dist.images.iter().map(|image| image.name.as_str()).collect::<Vec<_>>(),
        "archives": dist.archives.iter().map(|archive| archive.path.as_str()).collect::<Vec<_>>(),
    });
    if let Some(fields) = value.as_object_mut() {
        if let Some(preset) = plan.profile.preset {
            fields.insert("preset".to_owned(), json!(preset.name()));
        }
        if let Some(profile) = plan.release.request.pgo_profile {
            fields.insert("pgoProfile".to_owned(), json!({ "sha256": profile.hex() }));
        }
        if let Some(source) = source(dist, known) {
            fields.insert("source".to_owned(), json!(source));
        }
    }
    value
}

/// Returns longshore's decisions: the profile's values, cargo's arguments and rustc's flags, with names for
/// directories.
fn internal_parameters(plan: &Plan, known: &ProvenanceFacts) -> Value {
    let mut directories: Vec<_> =
        known.directories.iter().filter(|(location, _)| !location.is_empty()).collect();
    // What is within another goes first.
    directories.sort_stable_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then(a.cmp(b)));
    let hide = |text: &str| {
        directories
            .iter()
            .fold(text.to_owned(), |text, (location, name)| replace(&text, location, name))
    };
    // Arguments that set flags for rustc are left out: the flags are listed by target.
    let arguments = |all: &[String]| {
        let mut kept: Vec<String> = Vec::new();
        for text in all {
            if text.starts_with("target.") && text.contains(".rustflags=") {
                kept.pop_if(|last| last == "--config");
            } else {
                kept.push(hide(text));
            }
        }
        kept
    };
    let builds = plan
        .builds
        .iter()
        .map(|build| json!({ "targets": build.targets, "arguments": arguments(&build.args) }));
    let settings = plan.profile.settings.iter();
    let settings: BTreeMap<&str, String> =
        settings.map(|setting| (setting.key.as_str(), setting.value.to_string())).collect_map();
    let mut targets: BTreeMap<&str, Value> = BTreeMap::new();
    for job in &plan.jobs {
        let flags = job.rustflags.iter().map(|flag| hide_source(hide(&flag.flag)));
        // Those are in the order of the directories' names, which are gone here.
        let (mut remaps, mut flags): (Vec<_>, Vec<_>) =
            flags.partition(|flag| flag.starts_with("--remap-path-prefix="));
        remaps.sort_stable();
        remaps.dedup();
        flags.extend(remaps);
        targets.entry(&job.target).or_insert_with(|| {
            json!({
                "linkage": job.linkage,
                "allocator": job.allocator.allocator.name(),
                "linker": job.linker.linker.name(),
                "memoryFunctions": job.memory_functions.functions.name(),
                "cpu": job.cpu,
                "rustflags": flags,
            })
        });
    }
    let unstable: Vec<&str> = plan.profile.unstable.iter().map(|switch| switch.name()).collect();
    json!({
        "profile": settings,
        "unstable": unstable,
        "builds": builds.collect::<Vec<_>>(),
        "targets": targets,
        "sourceDateEpoch": plan.release.source_date_epoch,
    })
}

/// Returns a flag that renames a directory outside of all that have a name, such as that of a path
/// dependency, without the directory.
fn hide_source(flag: String) -> String {
    let start = "--remap-path-prefix=";
    let renamed = flag.strip_prefix(start).filter(|rest| rest.starts_with('/'));
    match renamed.and_then(|rest| rest.rsplit_once('=')) {
        Some((_, name)) => format!("{start}$SOURCE={name}"),
        None => flag,
    }
}

/// Returns `text` with `name` instead of the directory `location`; longer names that only begin like it are
/// unchanged.
fn replace(text: &str, location: &str, name: &str) -> String {
    let mut parts = text.split(location);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let goes_on = |c: char| c.is_alphanumeric() || ['-', '_', '.'].contains(&c);
        out.push_str(if part.starts_with(goes_on) { location } else { name });
        out.push_str(part);
    }
    out
}

/// Returns the source, as SLSA's own build types write it: `git+` and its URL.
fn source(dist: &Dist, known: &ProvenanceFacts) -> Option<Resource> {
    let release = &dist.release;
    let revision = release.revision.as_ref();
    if revision.is_none() && known.repository.is_none() {
        return None;
    }
    let uri = known.repository.as_ref().map(|url| match url.starts_with("git+") {
        true => url.clone(),
        false => format!("git+{url}"),
    });
    let digest = revision.map(|hash| BTreeMap::from([("gitCommit", hash.clone())]));
    let dirty = release.dirty.filter(|dirty| *dirty).map(|dirty| ("dirty", json!(dirty)));
    Some(Resource {
        name: Some("source".to_owned()),
        uri,
        digest: digest.unwrap_or_default(),
        annotations: dirty.into_iter().collect_map(),
    })
}

/// Returns the inputs: the source, the versions of its dependencies, and tools.
fn dependencies(dist: &Dist, known: &ProvenanceFacts) -> Vec<Resource> {
    let mut all: Vec<Resource> = source(dist, known).into_iter().collect();
    all.extend(known.lock.map(|digest| Resource::file("Cargo.lock", digest)));
    for (tool, version) in &dist.release.tools {
        let short = version.split_whitespace().next().unwrap_or_default();
        // A package of no registry: purl-spec, type `generic`.
        let uri = format!("pkg:generic/{tool}@{short}");
        let annotations = BTreeMap::from([("version", json!(version))]);
        let files: Vec<_> = known.files.iter().filter(|file| file.tool == *tool).collect();
        if files.is_empty() {
            let (name, digest) = (Some(tool.clone()), BTreeMap::new());
            all.push(Resource { name, uri: Some(uri), digest, annotations });
            continue;
        }
        all.extend(files.into_iter().map(|file| Resource {
            uri: Some(uri.clone()),
            annotations: annotations.clone(),
            ..Resource::file(file.file.clone(), file.sha256)
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_directory_names_are_replaced() {
        let hide = |text| replace(text, "/data", "$HOME");
        assert_eq!(hide("--x=/data/a"), "--x=$HOME/a");
        assert_eq!(hide("/data"), "$HOME");
        assert_eq!(hide("/datafs /data=/y /data.d"), "/datafs $HOME=/y /data.d");
    }
}
