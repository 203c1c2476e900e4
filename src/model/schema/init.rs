//! The results of `init`.

use serde::{Deserialize, Serialize};

/// The schema number that this version writes.
pub const SCHEMA: u32 = 1;

/// The results of one `init`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Init {
    /// The schema's number: 1.
    pub schema: u32,
    /// Whether this is a dry run: nothing was written, and this describes what would be.
    pub dry_run: bool,
    /// The directory of the workspace.
    pub root: String,
    /// The files, in the order in which they are written.
    pub files: Vec<InitFile>,
    /// Sentences about what the user has to do or to know.
    pub notes: Vec<String>,
}

/// A file of `init`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct InitFile {
    /// Its path, relative to the workspace.
    pub path: String,
    /// The action.
    pub action: InitAction,
    /// The change, or the reason for which the file is kept.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub reason: String,
    /// The change as a unified diff; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub difference: Option<String>,
}

/// The action for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InitAction {
    /// It is created.
    Create,
    /// Lines are added to it.
    Extend,
    /// It is as `init` would write it.
    Unchanged,
    /// It belongs to the user, and is not changed.
    Keep,
}
