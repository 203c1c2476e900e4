//! Files for CI systems, in a build without the feature `ci`.

pub mod comment;
mod request;

use camino::Utf8Path;

pub use self::request::{CiRequest, PreflightRequest, StaleFile};
use crate::{
    model::{digest::Digest, error::Result, feature::Feature},
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
