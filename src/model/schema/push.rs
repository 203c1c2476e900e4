//! The results of `push`.

use serde::{Deserialize, Serialize};

use super::Verification;
use crate::model::{digest::Digest, schema::tags::TagKind};

/// The schema number that this version writes.
pub const SCHEMA: u32 = 1;

/// The results of one `push`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Push {
    /// The schema's number: 1.
    pub schema: u32,
    /// Whether this is a dry run: nothing was written, and this describes what would be.
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
    /// The kind of tag.
    pub kind: TagKind,
    /// The outcome.
    pub outcome: TagOutcome,
    /// The reason.
    pub reason: String,
    /// The digest that it pointed at before; absent if there was no such tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub was: Option<Digest>,
    /// The digest that it points at now; absent if there is no such tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub is: Option<Digest>,
}

/// The outcome for a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "Outcome", rename_all = "kebab-case")]
pub enum TagOutcome {
    /// The tag did not exist, and points at the pushed image.
    Written,
    /// It pointed at a different image, and points at the pushed one.
    Moved,
    /// It was not changed.
    Kept,
    /// It was written, and a different push has moved it since, by the policy.
    Lost,
    /// The policy does not allow the pushed image. Nothing was written.
    Refused,
}

/// The result for one reference.
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
    /// The digest that the tag pointed at before; absent if there was no such tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub was: Option<Digest>,
}

/// The result for one repository.
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
    /// The blobs that existed.
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
    /// The type of the document: a media type.
    pub artifact_type: String,
    /// The name of the file.
    pub name: String,
    /// The digest of the manifest that holds it and points at the image.
    pub digest: Digest,
    /// Whether it existed before.
    pub present: bool,
}
