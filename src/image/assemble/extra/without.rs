//! The data of the feature `extras`, in a build without it.

use crate::model::{error::Result, feature::Feature};

/// The version of the time zone database: there is none.
pub(super) const TZDATA_VERSION: Option<&str> = None;

/// Returns the error of a build without the feature.
pub(super) fn certificates() -> Result<Vec<u8>> {
    Err(Feature::Extras.missing_error())
}

/// Returns the error of a build without the feature.
pub(super) fn time_zones() -> Result<Vec<(&'static str, &'static [u8])>> {
    Err(Feature::Extras.missing_error())
}
