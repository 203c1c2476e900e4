//! The results of `verify`.

use serde::{Deserialize, Serialize};

use super::dist::Verdict;
use crate::model::digest::Digest;

/// The schema number of the reports that this version makes.
pub const SCHEMA: u32 = 1;

/// The verdicts on all that was given to `verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Verification {
    /// The schema's number: 1.
    pub schema: u32,
    /// Whether nothing was rejected.
    pub accepted: bool,
    /// One entry for each file that was checked.
    pub checked: Vec<Checked>,
    /// The other files in directories.
    pub not_checked: Vec<NotChecked>,
    /// The files that policies were read from.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<PolicySource>,
}

/// A file that a policy was read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct PolicySource {
    /// The file, and the table in it.
    pub from: String,
    /// The files and releases that it applies to.
    pub paths: Vec<String>,
}

/// One file and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Checked {
    /// The file, as it was named, or below the directory that was.
    pub path: String,
    /// The target of the policy; absent if the file was checked without a target.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// Its digest; absent where it could not be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<Digest>,
    /// The verdict on it.
    pub verdict: Verdict,
    /// The facts read from it, if they were requested and could be read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub facts: Vec<Fact>,
}

/// A file that is not a binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct NotChecked {
    /// The file.
    pub path: String,
    /// The reason why it was not checked.
    pub reason: String,
}

/// A fact read from a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Fact {
    /// The name of the fact, such as `relro`. Some names occur several times.
    pub name: String,
    /// The value.
    pub value: String,
    /// The meaning here, if it is not the usual one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}
