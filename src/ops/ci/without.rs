//! Files for CI systems, in a build without the feature `ci`.

pub mod comment;
mod request;

use camino::Utf8Path;

pub use self::request::{CiRequest, StaleFile};
use crate::{
    model::{error::Result, feature::Feature},
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
pub fn preflight(_: &Context, _: Option<&str>, _: Option<&Utf8Path>) -> Result<()> {
    Err(Feature::Ci.missing_error())
}
