//! The results of `cache save` and `cache restore`.

use serde::{Deserialize, Serialize};

/// The schema number of the reports that this version makes.
pub const SCHEMA: u32 = 1;

/// The result of saving or restoring a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Cache {
    /// The schema's number: 1.
    pub schema: u32,
    /// The directory that holds the cache.
    pub directory: String,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: CacheOutcome,
    /// The duration in milliseconds.
    pub milliseconds: u64,
}

/// The outcome for a cache. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "outcome")]
pub enum CacheOutcome {
    /// It was written.
    Saved {
        /// Units in it.
        units: u64,
        /// Inputs that it knows.
        inputs: u64,
        /// Files in it.
        files: u64,
        /// Their size.
        bytes: u64,
        /// Its own size, compressed.
        size: u64,
        /// Whether it holds what zig's links need.
        zig: bool,
        /// Whether it was saved with a secret.
        authenticated: bool,
    },
    /// It was put in place.
    Restored {
        /// Units in it.
        units: u64,
        /// Inputs that hold what they held when it was saved.
        unchanged: u64,
        /// Inputs that changed or are gone.
        changed: u64,
        /// Unchanged inputs that keep their new times, since another build in the target directory
        /// has not seen them yet.
        withheld: u64,
        /// Its own size, compressed.
        size: u64,
        /// Whether it was saved with the secret that is set.
        authenticated: bool,
    },
    /// It was left alone, and the build begins from nothing.
    Refused {
        /// The reasons, one sentence each.
        reasons: Vec<String>,
    },
}
