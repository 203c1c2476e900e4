//! `dist.json`, the release manifest: the one contract between the stages.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::plan;
pub use super::{
    archive::{Archive, ArchiveKind, Channel, ChannelKind, Packed},
    request::RecordedRequest,
};
use crate::model::{
    digest::Digest,
    platform::Platform,
    schema::{
        allocator::AllocatorChoice, linker::LinkerChoice, memory::MemoryChoice,
        packaging::GzipLevel, pgo::PgoChoice, plan::CpuFlags, units::Units,
    },
};

/// The name of the file.
pub const FILE: &str = "dist.json";

/// The schema number that this version writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// The results of one `dist`. All paths are relative to the directory of `dist.json`, with `/`
/// between their parts; all sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Dist {
    /// The schema's number: 1.
    pub schema: u32,
    /// The released package or workspace, its source, and the tools.
    pub release: Release,
    /// The units that cargo compiled for this, and those that were up to date.
    pub units: Units,
    /// The hits and misses of sccache, if cargo's `rustc-wrapper` is sccache.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sccache: Option<Sccache>,
    /// Every binary.
    pub artifacts: Vec<Artifact>,
    /// The recipes of the images.
    #[serde(default)]
    pub recipes: Vec<plan::Image>,
    /// Every multi-platform image.
    pub images: Vec<Image>,
    /// Completions and manual pages.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub companions: Vec<Companion>,
    /// The contents of the archives.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub packages: Vec<plan::Archive>,
    /// Every archive and package for download.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub archives: Vec<Archive>,
    /// Files that serve all platforms of a package.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub channels: Vec<Channel>,
    /// Documents about these files: checksums, SBOMs, provenance, signatures.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub documents: Vec<Document>,
}

impl Dist {
    /// Returns the level of gzip in its images and archives.
    pub fn gzip_level(&self) -> GzipLevel {
        plan::gzip_level(&self.recipes, &self.packages)
    }

    /// Returns the path, size and digest of every file for download: archives and packages, files for all
    /// platforms, and documents.
    pub fn downloads(&self) -> impl Iterator<Item = (&str, u64, Digest)> {
        let archives = self.archives.iter().map(|file| (&*file.path, file.size, file.sha256));
        let channels = self.channels.iter().map(|file| (&*file.path, file.size, file.sha256));
        let documents = self.documents.iter().map(|file| (&*file.path, file.size, file.sha256));
        archives.chain(channels).chain(documents)
    }
}

/// The released package or workspace, its source, and the tools.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Release {
    /// The root package's name, or that of the workspace's directory.
    pub name: String,
    /// The packages' common version; absent where they differ.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// The git commit, where the workspace is in a repository.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revision: Option<String>,
    /// Whether files differed from that commit; absent without one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dirty: Option<bool>,
    /// The files that differed from it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changes: Option<Changes>,
    /// The reason for which there is no commit; absent with one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub no_revision: Option<String>,
    /// Seconds since 1970 that stand for every time in the outputs
    /// (<https://reproducible-builds.org/specs/source-date-epoch/>).
    pub source_date_epoch: u64,
    /// Tool names (`longshore`, `cargo`, `rustc`, `zig`, …) and their versions.
    pub tools: BTreeMap<String, String>,
    /// The request on the command line, so that a different revision can be built in the same way.
    #[serde(rename = "asked", skip_serializing_if = "RecordedRequest::is_empty", default)]
    pub request: RecordedRequest,
    /// The platforms of all targets of the workspace, including those that were not requested: a merged
    /// release must have all of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub platforms: Vec<Platform>,
}

/// Files of the source that differ from its commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Changes {
    /// Their number; a directory without tracked files counts once.
    pub count: u64,
    /// The first of them.
    pub files: Vec<String>,
}

/// The first files, and how many there are besides.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, file) in self.files.iter().enumerate() {
            let separator = if number > 0 { ", " } else { "" };
            write!(f, "{separator}`{file}`")?;
        }
        match self.count.saturating_sub(self.files.len() as u64) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// One binary for one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Artifact {
    /// The binary's name, without a suffix.
    pub name: String,
    /// The package it is a binary of.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The target triple of rustc.
    pub target: String,
    /// The OCI platform.
    pub platform: Platform,
    /// The path of the file.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// The file that cargo made, with its symbols: what this one was stripped from.
    pub unstripped: File,
    /// Its symbols and line numbers, if they were requested.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub debug: Option<DebugFile>,
    /// The digest of the list of dependencies in its section `.dep-v0`; the section may be one that the build
    /// itself added. Absent if no list was requested.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub audit: Option<Digest>,
    /// The attribution of its bytes to crates; absent if it could not be computed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attribution: Option<AttributionFile>,
    /// The allocator that it contains, according to its symbols.
    pub allocator: AllocatorChoice,
    /// The implementation of the functions that compare, search, copy and fill memory, as its symbols show;
    /// absent in releases of versions without this choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_functions: Option<MemoryChoice>,
    /// The linker; absent in releases of versions without this choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub linker: Option<LinkerChoice>,
    /// The profile of its runs; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pgo: Option<PgoChoice>,
    /// Flags that let it use more of a CPU than the target's CPU has; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu_flags: Option<CpuFlags>,
    /// The outcome of verifying these bytes; absent where only `build` ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<Verdict>,
    /// The outcome of the smoke test; absent if it was not requested.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub smoke: Option<Smoke>,
}

/// The attribution of a binary's bytes to crates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct AttributionFile {
    /// The path of the complete attribution (docs/schema/attribution.v1.json).
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// The bytes of each crate in the binary, so that this file alone is sufficient to compare the next
    /// release with this one. A name in square brackets is not a crate.
    pub crates: BTreeMap<String, u64>,
}

/// The requests of one build to sccache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Sccache {
    /// The number of cached results.
    pub hits: u64,
    /// The number of compiled results.
    pub misses: u64,
}

/// A file by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct File {
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// Separate debug information, which debuggers find by name or by build id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct DebugFile {
    /// The path of the file.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// The outcome of verifying one artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Verdict {
    /// Whether nothing denied was found.
    pub accepted: bool,
    /// The ids of the lints that were applied.
    pub lints: Vec<String>,
    /// The lints that were not applied to it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_applied: Vec<NotApplied>,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
}

/// A lint that was not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct NotApplied {
    /// The lint's id.
    pub lint: String,
    /// The reason.
    pub reason: String,
    /// Whether it was denied or warned of by its name.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub requested: bool,
}

/// A finding of a lint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Finding {
    /// The lint's id, such as `static`.
    pub lint: String,
    /// The severity.
    pub level: Level,
    /// One sentence.
    pub message: String,
    /// The evidence in the file.
    pub evidence: String,
    /// The hint that fixes it.
    pub hint: String,
    /// The reason of the waiver, if the policy has one; then the level is `allow`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub waived: Option<String>,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Level {
    /// It is not reported.
    Allow,
    /// It is reported, and does not fail the check.
    Warn,
    /// It rejects the artifact.
    Deny,
}

/// The outcome of running one binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "outcome")]
pub enum Smoke {
    /// It ran and ended.
    Ran {
        /// The environment that ran it: `native` or the emulator's name.
        by: String,
        /// Whether its file system contained nothing else.
        empty_root: bool,
        /// Its arguments.
        args: Vec<String>,
        /// The exit status; absent if it was still running when it timed out.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        exit_code: Option<i32>,
        /// The first line that it wrote.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        output: Option<String>,
    },
    /// It was not run.
    NotRun {
        /// The reason.
        reason: String,
    },
}

/// The multi-platform image of one package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Image {
    /// The image's name: that of its package.
    pub name: String,
    /// Its tag in the layout: the package's version.
    pub tag: String,
    /// The OCI layout's directory.
    pub path: String,
    /// The digest to pull by: of the index, or of the manifest where there is one platform.
    pub digest: Digest,
    /// The media type of what that digest names.
    pub media_type: String,
    /// The image of each platform, in the order of the index.
    pub platforms: Vec<PlatformImage>,
}

/// One platform's image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct PlatformImage {
    /// The platform.
    pub platform: Platform,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The digest of its configuration, which Docker calls the image id.
    pub config: Digest,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// Bytes that a pull transfers: manifest, configuration and compressed layers.
    pub size: u64,
    /// The path in the image, and the digest, of every binary in it.
    pub binaries: BTreeMap<String, Digest>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Layer {
    /// The media type of the compressed blob.
    pub media_type: String,
    /// The digest of the compressed blob.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
    /// The digest of the tar inside it.
    pub diff_id: Digest,
    /// The compressor, with version and level; the same tar and the same compressor give the same
    /// blob.
    pub compressor: String,
    /// The instruction, or the extra, that made it.
    pub created_by: String,
}

/// A completion file or a manual page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Companion {
    /// The package that it is of.
    pub package: String,
    /// The target of the build, or of the program that wrote the file.
    pub target: String,
    /// The path of the file.
    pub path: String,
    /// The path where it is installed, below `/usr` or a different prefix.
    #[serde(rename = "place")]
    pub install_path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// A document about the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Document {
    /// The kind of document.
    pub kind: DocumentKind,
    /// The path of the file that it describes, as in `archives` and `images`; absent for one about the complete
    /// release.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// The path of the file.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// The kind of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// Digests in the format of `sha256sum`.
    Checksums,
    /// An SBOM in CycloneDX's JSON.
    Cyclonedx,
    /// An SBOM in SPDX's JSON.
    Spdx,
    /// The provenance: an in-toto statement with SLSA's predicate.
    Provenance,
    /// A signature of minisign's over the file that is its subject.
    Minisign,
    /// A bundle of Sigstore's over the file that is its subject.
    Sigstore,
}

impl DocumentKind {
    /// Returns whether it describes the complete release, and not a single file.
    pub fn describes_release(self) -> bool {
        !matches!(self, DocumentKind::Cyclonedx | DocumentKind::Spdx)
    }
}
