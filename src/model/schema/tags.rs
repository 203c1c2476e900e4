//! The tags of images.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// `[package.metadata.longshore.tags]`: the kinds of tags for each occasion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// For a release.
    pub release: BTreeSet<Kind>,
    /// For a release with a version such as `1.0.0-rc.1`.
    pub prerelease: BTreeSet<Kind>,
    /// For everything that is not a release.
    pub snapshot: BTreeSet<Kind>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            release: BTreeSet::from([Kind::Version, Kind::Minor, Kind::Major, Kind::Latest]),
            prerelease: BTreeSet::from([Kind::Version, Kind::Next]),
            snapshot: BTreeSet::from([Kind::Sha]),
        }
    }
}

/// A kind of tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
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
