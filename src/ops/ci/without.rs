//! Files for CI systems, in a build without the feature `ci`.

pub mod comment;
mod request;

use camino::Utf8Path;

pub use self::request::{CiRequest, PreflightRequest, StaleFile, WorkspaceFile};
use crate::{
    build::workspace::Workspace,
    model::{digest::Digest, error::Result, feature::Feature, provider::Provider},
    sys::Context,
};

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
pub fn preflight(_: &Context, _: &PreflightRequest) -> Result<()> {
    Err(Feature::Ci.missing_error())
}

/// Fails.
///
/// # Errors
/// Always.
pub fn export_tool(_: &Context, _: &Utf8Path) -> Result<Digest> {
    Err(Feature::Ci.missing_error())
}

/// Fails.
///
/// # Errors
/// Always.
pub fn planned_files(_: &Workspace, _: &[Provider], _: bool) -> Result<Vec<WorkspaceFile>> {
    Err(Feature::Ci.missing_error())
}

/// Fails.
///
/// # Errors
/// Always.
pub fn has_foreign_gitlab_file(_: &Workspace) -> Result<bool> {
    Err(Feature::Ci.missing_error())
}

/// Fails.
///
/// # Errors
/// Always.
pub fn providers_with_files(_: &Workspace) -> Result<Vec<Provider>> {
    Err(Feature::Ci.missing_error())
}

/// Returns an empty text: there is nothing to compare.
pub fn unified_diff(_: &str, _: &str, _: &str) -> String {
    String::new()
}
