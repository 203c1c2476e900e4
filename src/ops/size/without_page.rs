//! The page, in a build without the feature `size-page`.

use std::sync::Arc;

use crate::{
    model::{error::Result, feature::Feature},
    size::MeasuredRelease,
    sys::{Context, registry::Session},
};

/// Fails.
pub(super) fn page(
    _: &Context,
    _: &Arc<Session>,
    _: &[String],
    _: &MeasuredRelease,
    _: Option<&MeasuredRelease>,
) -> Result<String> {
    Err(Feature::SizePage.missing_error())
}
