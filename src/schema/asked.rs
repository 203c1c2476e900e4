//! What was asked for, in `dist.json`.

use serde::{Deserialize, Serialize};

use crate::{
    allocator,
    profile::{Preset, Unstable},
    request::Request,
    workspace::FeatureSelection,
};

/// What was asked for on the command line, beside targets: cargo's flags of the same names, and
/// longshore's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct Asked {
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
    pub allocator: Option<allocator::Setting>,
    /// `--unstable`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unstable: Vec<Unstable>,
    /// `--no-locked`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_locked: bool,
}

impl Asked {
    /// Whether nothing was.
    pub fn is_nothing(&self) -> bool {
        *self == Asked::default()
    }
}

impl From<&Request> for Asked {
    fn from(request: &Request) -> Self {
        Asked {
            packages: request.packages.clone(),
            workspace: request.workspace,
            each: request.each,
            exclude: request.exclude.clone(),
            bins: request.bins.clone(),
            features: request.features.features.clone(),
            all_features: request.features.all_features,
            no_default_features: request.features.no_default_features,
            profile: request.profile.clone(),
            preset: request.preset,
            allocator: request.allocator,
            unstable: request.unstable.clone(),
            no_locked: !request.locked,
        }
    }
}

impl Asked {
    /// `request`, with this asked for in it.
    #[must_use]
    pub fn of(self, request: Request) -> Request {
        let features = FeatureSelection {
            features: self.features,
            all_features: self.all_features,
            no_default_features: self.no_default_features,
        };
        Request {
            packages: self.packages,
            workspace: self.workspace,
            each: self.each,
            exclude: self.exclude,
            bins: self.bins,
            features,
            profile: self.profile,
            preset: self.preset,
            allocator: self.allocator,
            unstable: self.unstable,
            locked: request.locked && !self.no_locked,
            ..request
        }
    }
}
