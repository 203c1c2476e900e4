//! The results of `release`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;

/// The schema number that this version writes.
pub const SCHEMA: u32 = 1;

/// The results of one `release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Publication {
    /// The schema's number: 1.
    pub schema: u32,
    /// Whether this is a dry run: nothing was written, and this describes what would be.
    pub dry_run: bool,
    /// The kind of forge.
    pub forge: ForgeKind,
    /// The address of its API.
    pub api: String,
    /// The repository: owner and name.
    pub repository: String,
    /// The tag of the release.
    pub tag: String,
    /// The commit that the tag points at, and that the files were built from.
    pub revision: String,
    /// The title.
    pub title: String,
    /// The release notes, in Markdown.
    pub notes: String,
    /// Whether it is a prerelease.
    pub prerelease: bool,
    /// Whether it is the latest release: no published release has a higher version. Absent if that was not
    /// decided, since the release was published before, or stays a draft.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latest: Option<bool>,
    /// The outcome.
    pub outcome: PublicationOutcome,
    /// The address of the release, for browsers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// The files, by name.
    pub files: Vec<PublishedFile>,
}

/// The outcome of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PublicationOutcome {
    /// The release is public now.
    Published,
    /// It was public before, with the same files.
    Unchanged,
    /// It is complete, and not public.
    Drafted,
}

/// A file of the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct PublishedFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// Whether it was uploaded; else the forge had it.
    pub uploaded: bool,
    /// Whether the public file was downloaded and compared.
    pub verified: bool,
}

/// The kind of forge: the API that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ForgeKind {
    /// GitHub, or a server of GitHub Enterprise.
    Github,
    /// GitLab.
    Gitlab,
    /// Forgejo, Codeberg or Gitea.
    Forgejo,
}

impl ForgeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Github, Self::Gitlab, Self::Forgejo];

    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ForgeKind::Github => "github",
            ForgeKind::Gitlab => "gitlab",
            ForgeKind::Forgejo => "forgejo",
        }
    }
}

impl fmt::Display for ForgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ForgeKind::Github => "GitHub",
            ForgeKind::Gitlab => "GitLab",
            ForgeKind::Forgejo => "Forgejo",
        })
    }
}
