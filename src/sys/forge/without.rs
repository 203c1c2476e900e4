//! Comments on pull requests, and releases, in a build without HTTP.

use std::io::Read;

use camino::Utf8PathBuf;

use super::{Context, registry::ResponseLimits};
use crate::{
    ci::comment::{CommentOutcome, Destination, Exchange},
    model::{error::Result, feature::Feature},
    release::publish::{self, ReleaseFile, Transport},
};

/// The settings for connections to servers.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Files of certificates that are trusted besides the system's.
    pub ca: Vec<Utf8PathBuf>,
    /// Hosts that may be connected to without TLS.
    pub insecure: Vec<String>,
    /// The limits on slow answers.
    pub limits: ResponseLimits,
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

/// Opens the file with an index.
pub type OpenFile<'a> = &'a dyn Fn(usize) -> Result<Box<dyn Read + 'a>>;

/// Fails.
///
/// # Errors
/// Always.
pub fn release_transport<'a>(
    _: &'a Context,
    _: &'a Settings,
    _: &'a publish::Destination,
    _: &'a [ReleaseFile],
    _: OpenFile<'a>,
) -> Result<Box<dyn Transport + 'a>> {
    Err(Feature::Registry.missing_error())
}
