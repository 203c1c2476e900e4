//! Files for CI systems, in a build without the feature `ci`.

pub mod comment;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::{error::Result, feature::Feature, provider::Provider},
    sys::Context,
};

/// A request for files of CI systems, which fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CiRequest {
    /// The CI systems.
    pub providers: Vec<Provider>,
    /// `--manifest-path`.
    pub manifest_path: Option<Utf8PathBuf>,
}

/// A file that differs from the generated one; there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleFile {
    /// Relative to the workspace.
    pub path: String,
    /// Whether it is not there at all.
    pub missing: bool,
    /// The changes, as a unified diff.
    pub difference: String,
}

/// Fails.
///
/// # Errors
/// Always.
pub fn generate(_: &Context, _: &CiRequest) -> Result<Vec<String>> {
    Err(Feature::Ci.missing_error())
}

/// Fails.
///
/// # Errors
/// Always.
pub fn check(_: &Context, _: &CiRequest) -> Result<Vec<StaleFile>> {
    Err(Feature::Ci.missing_error())
}

/// Fails.
///
/// # Errors
/// Always.
pub fn preflight(_: &Context, _: Option<&str>, _: Option<&Utf8Path>) -> Result<()> {
    Err(Feature::Ci.missing_error())
}
