//! What `push` did.

use serde::{Deserialize, Serialize};

use super::Verification;
use crate::model::{digest::Digest, schema::tags::Kind};

/// The schema number that this version writes.
pub const SCHEMA: u32 = 1;

/// What one command pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Push {
    /// The schema's number: 1.
    pub schema: u32,
    /// Whether nothing was written, and this is what would be.
    pub dry_run: bool,
    /// The digest of the manifest or index.
    pub digest: Digest,
    /// The media type of that.
    pub media_type: String,
    /// One for each reference, in the order they were given in.
    pub references: Vec<Pushed>,
    /// One for each repository.
    pub repositories: Vec<Repository>,
    /// The tags of a policy, for each repository in turn.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tags: Vec<Tag>,
    /// The verdicts on the pushed images, if they were requested.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verification: Option<Verification>,
}

/// The result for a tag of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Tag {
    /// The repository: registry and path.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What kind it is.
    pub kind: Kind,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// What it pointed at before; absent where there was no such tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub was: Option<Digest>,
    /// What it points at now; absent where there is no such tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub is: Option<Digest>,
}

/// What became of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// There was none, and it points at what was pushed.
    Written,
    /// It pointed at something else, and points at what was pushed.
    Moved,
    /// It was left as it was.
    Kept,
    /// It was written, and a different push has since moved it, as it should be.
    Lost,
    /// It must not be what was pushed. Nothing was written.
    Refused,
}

/// What became of one reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Pushed {
    /// The repository: registry and path.
    pub repository: String,
    /// The tag that points at the digest; absent where only a digest was named, or where tags are a
    /// policy's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tag: Option<String>,
    /// What the tag pointed at before; absent where there was no such tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub was: Option<Digest>,
}

/// What was sent to one repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Repository {
    /// Registry and path.
    pub name: String,
    /// The blobs that were sent.
    pub uploaded: Vec<Digest>,
    /// The bytes of these.
    pub uploaded_bytes: u64,
    /// The blobs that the registry mounted from a different repository.
    pub mounted: Vec<Digest>,
    /// The blobs that were there.
    pub present: Vec<Digest>,
    /// The manifests and indexes that were written.
    pub written: Vec<Digest>,
    /// The documents that are attached to the image.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub attached: Vec<Attached>,
}

/// A document that is attached to an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Attached {
    /// What it is: a media type.
    pub artifact_type: String,
    /// The file that it was.
    pub name: String,
    /// The digest of the manifest that holds it and points at the image.
    pub digest: Digest,
    /// Whether that was there before.
    pub present: bool,
}
