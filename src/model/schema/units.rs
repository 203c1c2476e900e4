//! The units that cargo compiled.

use serde::{Deserialize, Serialize};

/// The units of all cargo commands of one `dist`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Units {
    /// The number of units that were compiled now.
    pub compiled: u64,
    /// The number of units that were up to date.
    pub fresh: u64,
    /// Seconds that cargo compiled, several units at a time; absent if cargo did not report it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<f64>,
    /// Each of them, in the order in which cargo finished them.
    pub each: Vec<Unit>,
}

/// One unit: a library, a build script, a binary, for one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Unit {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// `lib`, `proc-macro`, `custom-build`, `bin`.
    pub kind: String,
    /// The unit's own name.
    pub name: String,
    /// The target triple, or `host`.
    pub target: String,
    /// Whether it was up to date.
    pub fresh: bool,
    /// Seconds that compiling it took, with others at the same time; absent if cargo did not report it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<f64>,
    /// The difference from other units of the same name and target: package, features, profile.
    #[serde(skip)]
    pub(crate) identity: String,
    /// The first file of it.
    #[serde(skip)]
    pub(crate) file: String,
    /// The number of its cargo command, from 0.
    #[serde(skip)]
    pub(crate) command: usize,
}
