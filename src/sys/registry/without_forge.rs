//! Comments on pull requests in a build without HTTP.

use camino::Utf8PathBuf;

use super::Context;
use crate::{
    ci::comment::{CommentOutcome, Destination, Exchange},
    model::{error::Result, feature::Feature},
};

/// The settings for connections to servers.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Files of certificates that are trusted besides the system's.
    pub ca: Vec<Utf8PathBuf>,
    /// Hosts that may be connected to without TLS.
    pub insecure: Vec<String>,
}

/// Fails.
///
/// # Errors
/// Always.
pub fn comment<'t>(
    _: &Context,
    _: &Settings,
    _: &Destination,
    _: impl Fn() -> Exchange<'t>,
) -> Result<CommentOutcome> {
    Err(Feature::Registry.missing_error())
}
