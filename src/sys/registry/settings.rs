//! Values of registries that need no connection.

use std::{io::Read, time::Duration};

use camino::Utf8PathBuf;

use crate::{image::oci::Descriptor, model::error::Result};

/// The settings for connections to registries.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Files of certificates that are trusted besides the system's.
    pub ca: Vec<Utf8PathBuf>,
    /// Hosts that may be connected to without TLS.
    pub insecure: Vec<String>,
    /// Whether `GITHUB_TOKEN` is for ghcr.io.
    pub github_token: bool,
    /// The limits on slow answers.
    pub limits: ResponseLimits,
}

/// The limits on slow answers. docs/registry.md has the numbers.
#[derive(Clone, Debug)]
pub struct ResponseLimits {
    /// Until the headers of an answer are complete, for requests that only read.
    pub read: Duration,
    /// The same for requests that write: a registry may take its time over a large blob.
    pub written: Duration,
    /// The time for which a body may arrive at less than [`ResponseLimits::LEAST`].
    pub window: Duration,
}

impl ResponseLimits {
    /// Bytes a second.
    pub const LEAST: u64 = 1 << 10;
}

impl Default for ResponseLimits {
    fn default() -> Self {
        ResponseLimits {
            read: Duration::from_secs(60),
            written: Duration::from_secs(120),
            window: Duration::from_secs(60),
        }
    }
}

/// The result for a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobOutcome {
    /// It was sent.
    Uploaded,
    /// The registry mounted it from that other repository.
    Mounted(String),
}

/// A blob that is to be sent.
pub struct Blob<'a> {
    /// Its descriptor.
    pub descriptor: &'a Descriptor,
    /// Opens it; it may be read several times.
    pub open: &'a dyn Fn() -> Result<Box<dyn Read + 'a>>,
    /// Called with the number of further bytes that are sent, or have to be sent again (below 0). It
    /// can end the upload.
    pub sent: &'a dyn Fn(i64) -> Result<()>,
}

impl std::fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob").field("descriptor", self.descriptor).finish()
    }
}
