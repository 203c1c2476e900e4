//! The content of an archive, as `package list` prints it.

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;

/// The schema number of this version.
pub const SCHEMA: u32 = 1;

/// The contents of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ArchiveListing {
    /// The schema's number: 1.
    pub schema: u32,
    /// The path of the archive.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// Its files and links, in their order.
    pub contents: Vec<Entry>,
}

/// A file or a link in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Its path in the archive.
    pub path: String,
    /// The lowest twelve bits of its mode, where the archive has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<u32>,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its content; absent for a link, and for a file with a note.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<Digest>,
    /// The target, if it is a link.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link: Option<String>,
    /// The reason why it has no digest, if it is a file that is not read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// A package repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Repository {
    /// The schema's number: 1.
    pub schema: u32,
    /// `apt` or `rpm`.
    pub kind: String,
    /// The directory.
    pub path: String,
    /// The file that clients read first, below the directory.
    pub index: String,
    /// The fingerprint of the key that signed the index; absent if it is not signed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signed_by: Option<String>,
    /// The packages in it.
    pub packages: Vec<RepositoryPackage>,
}

/// A package in a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct RepositoryPackage {
    /// The name.
    pub name: String,
    /// The version, with its release or revision.
    pub version: String,
    /// The architecture, as the format names it.
    pub architecture: String,
    /// The path of its file below the directory.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
    /// The digest.
    pub sha256: Digest,
    /// Whether this run added it.
    pub added: bool,
}
