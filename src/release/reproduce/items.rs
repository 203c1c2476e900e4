//! The artifacts that a release records, and what it records about each.

use serde_json::Value;

use super::difference::json_difference;
use crate::model::{
    digest::Digest,
    platform::Platform,
    schema::{
        Dist,
        dist::{Archive, ArchiveKind, Artifact, ChannelKind, DocumentKind, Image},
        reproduce::{ArtifactKind, Difference},
    },
};

/// An artifact that a release records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedItem {
    /// Its kind.
    pub kind: ArtifactKind,
    /// Its path in the release; `IMAGE@PLATFORM` for the manifest of one platform.
    pub path: String,
    /// Its platform.
    pub platform: Option<Platform>,
    /// Its digest.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: Option<u64>,
}

/// Returns the name of the artifact at `path` in a provenance, where downloads have their file name alone.
pub fn subject_name(path: &str) -> &str {
    path.strip_prefix("archives/").unwrap_or(path)
}

/// Returns the artifacts that `dist` records, binaries first: they are a part of others.
pub fn items(dist: &Dist) -> Vec<RecordedItem> {
    let mut all: Vec<RecordedItem> = Vec::new();
    for artifact in &dist.artifacts {
        let item = |kind, path: &str, sha256, size| RecordedItem {
            kind,
            path: path.to_owned(),
            platform: Some(artifact.platform.clone()),
            sha256,
            size: Some(size),
        };
        all.push(item(ArtifactKind::Binary, &artifact.path, artifact.sha256, artifact.size));
        let debug = artifact.debug.iter();
        all.extend(
            debug.map(|file| item(ArtifactKind::DebugFile, &file.path, file.sha256, file.size)),
        );
        let sizes = artifact.attribution.iter();
        all.extend(sizes.map(|file| item(ArtifactKind::Sizes, &file.path, file.sha256, file.size)));
    }
    all.extend(dist.companions.iter().map(|companion| RecordedItem {
        kind: ArtifactKind::Companion,
        path: companion.path.clone(),
        platform: None,
        sha256: companion.sha256,
        size: Some(companion.size),
    }));
    all.extend(dist.archives.iter().map(|archive| RecordedItem {
        kind: archive_kind(archive),
        path: archive.path.clone(),
        platform: Some(archive.platform.clone()),
        sha256: archive.sha256,
        size: Some(archive.size),
    }));
    all.extend(dist.channels.iter().map(|channel| RecordedItem {
        kind: channel_kind(channel.kind),
        path: channel.path.clone(),
        platform: None,
        sha256: channel.sha256,
        size: Some(channel.size),
    }));
    all.extend(dist.images.iter().flat_map(image_items));
    all.extend(dist.documents.iter().map(|document| RecordedItem {
        kind: document_kind(document.kind),
        path: document.path.clone(),
        platform: None,
        sha256: document.sha256,
        size: Some(document.size),
    }));
    all
}

fn archive_kind(archive: &Archive) -> ArtifactKind {
    match archive.kind {
        ArchiveKind::Binaries | ArchiveKind::Debug => ArtifactKind::Archive,
        ArchiveKind::Deb
        | ArchiveKind::Rpm
        | ArchiveKind::Arch
        | ArchiveKind::Wheel
        | ArchiveKind::Npm => ArtifactKind::Package,
    }
}

fn channel_kind(kind: ChannelKind) -> ArtifactKind {
    match kind {
        ChannelKind::Npm => ArtifactKind::Package,
        ChannelKind::Installer => ArtifactKind::Installer,
        ChannelKind::Homebrew => ArtifactKind::Formula,
    }
}

fn document_kind(kind: DocumentKind) -> ArtifactKind {
    match kind {
        DocumentKind::Checksums => ArtifactKind::Checksums,
        DocumentKind::Cyclonedx | DocumentKind::Spdx => ArtifactKind::Sbom,
        DocumentKind::Provenance => ArtifactKind::Provenance,
        DocumentKind::Minisign | DocumentKind::Sigstore => ArtifactKind::Signature,
    }
}

/// Returns an image, and the manifests below it.
fn image_items(image: &Image) -> Vec<RecordedItem> {
    let only = match &image.platforms[..] {
        [only] if only.manifest == image.digest => Some(only.platform.clone()),
        _ => None,
    };
    let mut all = vec![RecordedItem {
        kind: ArtifactKind::Image,
        path: image.path.clone(),
        platform: only,
        sha256: image.digest,
        size: None,
    }];
    let inner = image.platforms.iter().filter(|platform| platform.manifest != image.digest);
    all.extend(inner.map(|platform| RecordedItem {
        kind: ArtifactKind::Manifest,
        path: format!("{}@{}", image.path, platform.platform),
        platform: Some(platform.platform.clone()),
        sha256: platform.manifest,
        size: None,
    }));
    all
}

/// Returns the first difference in what the two releases record about the artifact at `path`, besides its
/// digest: a `dist.json` can record wrong contents of the right file.
pub fn record_difference(recorded: &Dist, rebuilt: &Dist, path: &str) -> Option<Difference> {
    let (old, new) = (facts(recorded, path)?, facts(rebuilt, path)?);
    let found = json_difference(&old, &new)?;
    Some(Difference {
        note: Some("`dist.json` records something else about it".to_owned()),
        ..found
    })
}

/// Returns the entry of `dist` for the artifact at `path`, without what differs from run to run.
fn facts(dist: &Dist, path: &str) -> Option<Value> {
    if let Some(artifact) = dist.artifacts.iter().find(|artifact| artifact.path == path) {
        return artifact_facts(artifact);
    }
    if let Some(archive) = dist.archives.iter().find(|archive| archive.path == path) {
        return serde_json::to_value(archive).ok();
    }
    if let Some(channel) = dist.channels.iter().find(|channel| channel.path == path) {
        return serde_json::to_value(channel).ok();
    }
    if let Some(image) = dist.images.iter().find(|image| image.path == path) {
        return serde_json::to_value(image).ok();
    }
    if let Some(companion) = dist.companions.iter().find(|companion| companion.path == path) {
        return serde_json::to_value(companion).ok();
    }
    let document = dist.documents.iter().find(|document| document.path == path)?;
    serde_json::to_value(document).ok()
}

fn artifact_facts(artifact: &Artifact) -> Option<Value> {
    let mut value = serde_json::to_value(artifact).ok()?;
    let fields = value.as_object_mut()?;
    // The outcome of checks, sentences about origins, and a file that is not a part of the release.
    for name in ["unstripped", "allocator", "memory-functions", "cpu-flags", "verdict", "smoke"] {
        fields.remove(name);
    }
    // Of the linker, its name without the reason.
    if let Some(linker) = artifact.linker.as_ref() {
        fields.insert("linker".to_owned(), linker.linker.name().into());
    }
    // Of the profile, its digest if it is used.
    if let Some(pgo) = fields.remove("pgo").and(artifact.pgo.as_ref()).filter(|pgo| pgo.used) {
        fields.insert("pgo".to_owned(), pgo.profile.to_string().into());
    }
    Some(value)
}
