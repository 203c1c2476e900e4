//! The results of `tune`.

use serde::{Deserialize, Serialize};

/// The schema number of the reports that this version makes.
pub const SCHEMA: u32 = 1;

/// The variants of a program, measured on one command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Tune {
    /// The schema's number: 1.
    pub schema: u32,
    /// The binary that was measured.
    pub binary: String,
    /// Its package.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The target triple.
    pub target: String,
    /// The arguments of the command.
    pub args: Vec<String>,
    /// The number of measurements of each variant.
    pub rounds: u32,
    /// The variants; the first one has the current settings.
    pub variants: Vec<Variant>,
}

/// One variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// The settings that differ from the current ones.
    pub changes: Vec<Change>,
    /// The options of `dist` that differ from the current ones: `--pgo`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub flags: Vec<String>,
    /// The measurements; absent if it could not be built or run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub measured: Option<Measured>,
    /// Why there is no measurement.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<String>,
    /// The name of an earlier variant with the same plan, which was measured instead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub same_as: Option<String>,
}

/// A setting, as it is written in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// The table of `Cargo.toml`: `workspace.metadata.longshore`.
    pub table: String,
    /// The line: `preset = "size"`.
    pub line: String,
}

/// The measurements of one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Measured {
    /// The size of the file in bytes.
    pub size: u64,
    /// Its size in gzip, in bytes.
    pub compressed: u64,
    /// Elapsed time.
    pub time: Spread,
    /// Time of the processor, in user and system mode, of the program and its children.
    pub cpu: Spread,
    /// The most memory that one of its processes had, in bytes: the largest of all rounds.
    pub peak_memory: u64,
    /// Whether no other variant is both at least as small and at least as fast.
    pub best: bool,
}

/// Seconds, of all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Spread {
    /// The shortest.
    pub min: f64,
    /// The median.
    pub median: f64,
    /// The longest.
    pub max: f64,
}
