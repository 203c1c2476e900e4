//! The results of `reproduce`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{digest::Digest, platform::Platform};

/// The schema number that this version writes.
pub const SCHEMA: u32 = 1;

/// The comparison of a release with a rebuild of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Reproduction {
    /// The schema's number: 1.
    pub schema: u32,
    /// The release, as it was given.
    pub release: String,
    /// Its name.
    pub name: String,
    /// Its version; absent if its packages have different ones.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// The git commit that was built.
    pub revision: String,
    /// The repository that the commit came from.
    pub source: String,
    /// Whether every recorded artifact was rebuilt with the recorded digest.
    pub reproduced: bool,
    /// Whether there was a rebuild: there is none if files of the release do not match its own record.
    pub rebuilt: bool,
    /// The tools of the release and of the rebuild.
    pub tools: Vec<ToolVersions>,
    /// The artifacts that the release records.
    pub artifacts: Vec<ReproducedArtifact>,
    /// Paths of artifacts that only the rebuild has.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unrecorded: Vec<String>,
    /// The likely causes of the differences, the likeliest first, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub causes: Vec<String>,
    /// The directory of the rebuild, which is kept if it differs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rebuild: Option<String>,
}

/// A tool, and its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ToolVersions {
    /// Its name, as in `dist.json`.
    pub name: String,
    /// The version that the release records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recorded: Option<String>,
    /// The version that the rebuild used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub used: Option<String>,
}

/// An artifact that the release records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ReproducedArtifact {
    /// Its kind.
    pub kind: ArtifactKind,
    /// Its path in the release; `IMAGE@PLATFORM` for the manifest of one platform.
    pub path: String,
    /// Its OCI platform.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<Platform>,
    /// The recorded size in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
    /// The recorded digest.
    pub sha256: Digest,
    /// The outcome.
    pub outcome: Outcome,
    /// The digest of the rebuilt one; of the release's own file if that does not match its record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub found: Option<Digest>,
    /// The first difference.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub difference: Option<Difference>,
}

/// The kind of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ArtifactKind {
    /// A program.
    Binary,
    /// The symbols and line numbers of a program.
    DebugFile,
    /// The sizes of a program's crates.
    Sizes,
    /// A completion file or a manual page.
    Companion,
    /// An archive of programs, or of debug files.
    Archive,
    /// A package for an operating system or a package manager.
    Package,
    /// An installation script.
    Installer,
    /// A formula for Homebrew.
    Formula,
    /// An SBOM.
    Sbom,
    /// Checksums.
    Checksums,
    /// An image: its index, or its manifest if there is one platform.
    Image,
    /// The manifest of the image of one platform.
    Manifest,
    /// The provenance, which describes the build.
    Provenance,
    /// A signature.
    Signature,
    /// A file of an unknown kind.
    File,
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ArtifactKind::Binary => "binary",
            ArtifactKind::DebugFile => "debug file",
            ArtifactKind::Sizes => "sizes",
            ArtifactKind::Companion => "companion",
            ArtifactKind::Archive => "archive",
            ArtifactKind::Package => "package",
            ArtifactKind::Installer => "installer",
            ArtifactKind::Formula => "formula",
            ArtifactKind::Sbom => "SBOM",
            ArtifactKind::Checksums => "checksums",
            ArtifactKind::Image => "image",
            ArtifactKind::Manifest => "manifest",
            ArtifactKind::Provenance => "provenance",
            ArtifactKind::Signature => "signature",
            ArtifactKind::File => "file",
        })
    }
}

/// The outcome for an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// The rebuilt one has the recorded digest.
    Identical,
    /// The rebuilt one has a different digest, or `dist.json` records something else about it.
    Different,
    /// The rebuild does not have it.
    NotRebuilt,
    /// The release's own file does not match its record.
    Changed,
    /// There was no rebuild to compare it with.
    NotCompared,
    /// It is a statement about the original build, which a rebuild does not repeat: a signature, or a
    /// provenance with a different builder and the same parameters.
    Statement,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Identical => "identical",
            Outcome::Different => "different",
            Outcome::NotRebuilt => "not rebuilt",
            Outcome::Changed => "changed",
            Outcome::NotCompared => "not compared",
            Outcome::Statement => "statement",
        })
    }
}

impl Outcome {
    /// Returns whether an artifact with this outcome is not reproduced.
    pub fn is_failure(self) -> bool {
        !matches!(self, Outcome::Identical | Outcome::Statement)
    }
}

/// The first difference of an artifact that is not a consequence of others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct Difference {
    /// The file in an archive, package or image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The section of an ELF file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// The function or variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// The field: of an entry of an archive, of an image's configuration, of a document, of `dist.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The offset of the first differing byte in the rebuilt file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The recorded value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
    /// The rebuilt value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<String>,
    /// Anything else about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
