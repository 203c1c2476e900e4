//! The JSON of `size`, and the attribution that `dist` stores for each binary.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::verify::PolicySource;
use crate::model::{digest::Digest, platform::Platform};

/// The schema number that this version writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// The attribution of the bytes of one binary: `linux/*/size/<name>.json` of a `dist`. All sizes
/// are in bytes.
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
    /// The source of its symbols.
    pub symbols: SymbolSource,
    /// The crates that are in it.
    pub dependencies: Vec<Dependency>,
    /// The strings that leaves refer to by index.
    pub strings: Vec<String>,
    /// Each has nine numbers: the places of the crate, the crate with the source, the modules, the
    /// symbol and the section; then bytes, how many of them are derived, how many are guessed, and
    /// how many it takes compressed.
    pub leaves: Vec<[u64; 9]>,
}

/// The source of the symbols that bytes are attributed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "Symbols", rename_all = "kebab-case")]
pub enum SymbolSource {
    /// The file's own symbol table.
    Own,
    /// The file that it was stripped from, or its separate debug file.
    Separate,
    /// The symbols for the dynamic linker, which are few.
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

/// The kind of item that a row stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "By", rename_all = "kebab-case")]
pub enum RowKind {
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

/// The sizes of binaries, archives and images, and their changes. All sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Size {
    /// The schema's number: 1.
    pub schema: u32,
    /// The kind of the rows.
    pub by: RowKind,
    /// Whether no budget is exceeded.
    pub accepted: bool,
    /// The base of the comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Every binary, including removed ones.
    pub binaries: Vec<Binary>,
    /// Every archive and package.
    pub archives: Vec<ArchiveOrImage>,
    /// The image of every platform: what a pull transfers.
    pub images: Vec<ArchiveOrImage>,
    /// The exceeded budgets.
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
    /// The target triple, or the platform of its image, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Its path.
    pub path: String,
    /// A limitation of these figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The source of its symbols.
    pub symbols: SymbolSource,
    /// Its size now and before.
    #[serde(flatten)]
    pub change: Change,
    /// Its compressed size now and before, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed: Option<Change>,
    /// Its name in the base, if that is different.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// The number of bytes by which it may still grow; negative if a budget is exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_left: Option<i64>,
    /// Its parts: the rows add up to its size.
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
    /// The number of its bytes that are attributed by adjacent ones.
    pub derived: u64,
    /// The number of its bytes with a guessed attribution.
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
    /// The growth of its crate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<i64>,
}

/// An archive, or the image of one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "Whole", rename_all = "kebab-case")]
pub struct ArchiveOrImage {
    /// Its name, without a version.
    pub name: String,
    /// The file name of an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its platform.
    pub platform: Platform,
    /// Its size now and before.
    #[serde(flatten)]
    pub change: Change,
    /// The number of bytes by which it may still grow; negative if a budget is exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_left: Option<i64>,
}

/// An exceeded budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Budget {
    /// The file or image that is too large.
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
