//! The tags of images.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// `[package.metadata.longshore.tags]`: the kinds of tags for each occasion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "Policy", rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TagPolicy {
    /// For a release.
    pub release: BTreeSet<TagKind>,
    /// For a release with a version such as `1.0.0-rc.1`.
    pub prerelease: BTreeSet<TagKind>,
    /// For everything that is not a release.
    pub snapshot: BTreeSet<TagKind>,
}

impl Default for TagPolicy {
    fn default() -> Self {
        TagPolicy {
            release: BTreeSet::from([
                TagKind::Version,
                TagKind::Minor,
                TagKind::Major,
                TagKind::Latest,
            ]),
            prerelease: BTreeSet::from([TagKind::Version, TagKind::Next]),
            snapshot: BTreeSet::from([TagKind::Sha]),
        }
    }
}

/// A kind of tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "Kind", rename_all = "kebab-case")]
pub enum TagKind {
    /// `1.2.3`, or `1.2.3-rc.1`: it never moves.
    Version,
    /// `1.2`: the highest release that begins so.
    Minor,
    /// `1`: the highest release that begins so. Versions below 1.0.0 have none, since each of their
    /// minor versions may break what used the one before.
    Major,
    /// `latest`: the highest release.
    Latest,
    /// `next`: the highest prerelease, or release where these go there, too.
    Next,
    /// `sha-` and the first twelve digits of the revision.
    Sha,
    /// A branch that was named.
    Branch,
}
