//! What `size` prints as JSON, and the attribution that `dist` keeps of each binary.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::verify::PolicySource;
use crate::model::{digest::Digest, platform::Platform};

/// The schema number that this version writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// To what the bytes of one binary belong: `linux/*/size/<name>.json` of a `dist`. All sizes are in
/// bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Attribution {
    /// The schema's number: 1.
    pub schema: u32,
    /// The binary's digest.
    pub sha256: Digest,
    /// Its size: the sum of all leaves.
    pub size: u64,
    /// Its size as it is in images and `.tar.gz` archives: the sum of all leaves.
    pub compressed: Option<u64>,
    /// Where symbols are from.
    pub symbols: Symbols,
    /// The crates that are in it.
    pub dependencies: Vec<Dependency>,
    /// The strings that leaves refer to by index.
    pub strings: Vec<String>,
    /// Each has nine numbers: the places of the crate, the crate with the source, the modules, the
    /// symbol and the section; then bytes, how many of them are derived, how many are guessed, and
    /// how many it takes compressed.
    pub leaves: Vec<[u64; 9]>,
}

/// Where the symbols are from that bytes are attributed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Symbols {
    /// The file has its own.
    Own,
    /// The file that it was stripped from, or its separate debug file.
    Separate,
    /// Those for the dynamic linker, which are few.
    Dynamic,
    /// There are none: only sections are known.
    #[default]
    None,
}

/// A crate in a binary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What rows are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Sections of the file.
    Section,
    /// Crates that code was compiled for: a generic function belongs to the one that uses it.
    #[default]
    Crate,
    /// Crates with the source of the code.
    DefiningCrate,
    /// Modules.
    Module,
    /// Functions and variables.
    Symbol,
}

/// How large binaries, archives and images are, and what changed. All sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Size {
    /// The schema's number: 1.
    pub schema: u32,
    /// What the rows are.
    pub by: By,
    /// Whether every budget is kept.
    pub accepted: bool,
    /// What it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Every binary, those that are gone, too.
    pub binaries: Vec<Binary>,
    /// Every archive and package.
    pub archives: Vec<Whole>,
    /// The image of every platform: what a pull transfers.
    pub images: Vec<Whole>,
    /// Budgets that are not kept.
    pub budgets: Vec<Budget>,
    /// The files that budgets were read from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicySource>,
}

/// A binary.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Binary {
    /// Its name.
    pub name: String,
    /// What it was compiled for, or the platform of its image, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Where it is.
    pub path: String,
    /// What has to be known of these figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where symbols are from.
    pub symbols: Symbols,
    /// Its size now and before.
    #[serde(flatten)]
    pub change: Change,
    /// Its compressed size now and before, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed: Option<Change>,
    /// What it was called in the base, where that was otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// How many bytes it may still grow; negative where a budget is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_left: Option<i64>,
    /// What it consists of: the rows add up to its size.
    pub rows: Vec<Row>,
    /// Crates with changed sizes, the largest change first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_crates: Vec<Changed>,
    /// Symbols with changed sizes, the largest change first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_symbols: Vec<Changed>,
    /// Dependencies that came, went or have another version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_dependencies: Vec<ChangedDependency>,
}

/// A size now and before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// The size now; absent for what is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The size in the base; absent for what is new, and without a base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_size: Option<u64>,
}

/// A part of a binary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// Its name; one in square brackets is not a crate.
    pub name: String,
    /// Of a symbol or a module: its crate.
    #[serde(rename = "crate", skip_serializing_if = "Option::is_none")]
    pub krate: Option<String>,
    /// Its bytes.
    pub size: u64,
    /// Its share of the compressed binary, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed: Option<u64>,
    /// How many of its bytes follow from what is around them.
    pub derived: u64,
    /// How many of them are a guess.
    pub guessed: u64,
    /// Its bytes in each section.
    pub sections: BTreeMap<String, u64>,
}

/// A part that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// Of a symbol: its crate.
    #[serde(rename = "crate", skip_serializing_if = "Option::is_none")]
    pub krate: Option<String>,
    /// Its size now and before.
    #[serde(flatten)]
    pub change: Change,
}

/// A dependency that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct ChangedDependency {
    /// The package's name.
    pub name: String,
    /// Its versions in the base; none if it is new.
    pub base: Vec<String>,
    /// Its versions now; none if it was removed.
    pub head: Vec<String>,
    /// What its crate has grown by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<i64>,
}

/// An archive, or the image of one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Whole {
    /// Its name, without a version.
    pub name: String,
    /// The file name of an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What it is for.
    pub platform: Platform,
    /// Its size now and before.
    #[serde(flatten)]
    pub change: Change,
    /// How many bytes it may still grow; negative where a budget is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_left: Option<i64>,
}

/// A budget that is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Budget {
    /// What is too large.
    pub name: String,
    /// One sentence, with the crate to blame where one is.
    pub message: String,
    /// The crate to blame.
    #[serde(rename = "crate", skip_serializing_if = "Option::is_none")]
    pub krate: Option<String>,
    /// The reason of the waiver, if the workspace has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<String>,
}
