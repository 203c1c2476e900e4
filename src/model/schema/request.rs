//! The request, as recorded in `dist.json`.

use serde::{Deserialize, Serialize};

use crate::model::{
    digest::Digest,
    schema::profile::{Preset, Unstable},
};

/// The request on the command line, except targets: cargo's flags of the same names, and longshore's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "Asked", rename_all = "kebab-case", default)]
pub struct RecordedRequest {
    /// `--package`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// `--workspace`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub workspace: bool,
    /// `--each`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub each: bool,
    /// `--exclude`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// `--bin`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bins: Vec<String>,
    /// `--features`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// `--all-features`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_features: bool,
    /// `--no-default-features`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_default_features: bool,
    /// `--profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `--preset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// `--allocator`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocator: Option<super::allocator::AllocatorSetting>,
    /// `--linker`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub linker: Option<super::linker::LinkerSetting>,
    /// The digest of the profile that the programs are optimised with, by `--pgo` or `--pgo-profile`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pgo_profile: Option<Digest>,
    /// `--unstable`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unstable: Vec<Unstable>,
    /// `--config`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<String>,
    /// `--no-locked`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_locked: bool,
}

impl RecordedRequest {
    /// Returns whether nothing was requested.
    pub fn is_empty(&self) -> bool {
        *self == RecordedRequest::default()
    }
}
