//! The sizes of an earlier release.

use camino::Utf8Path;

use crate::{
    error::{Error, Result},
    oci::Platform,
    schema::dist::{self, Dist},
    sys::fs,
};

/// The largest `dist.json`.
const MOST: u64 = 64 << 20;

/// What an earlier `dist.json` says.
pub(super) struct Base(Dist);

/// Reads a `dist.json`.
pub(super) fn read(path: &Utf8Path) -> Result<Dist> {
    let bytes = fs::read_start(path, MOST + 1)?;
    let bad = |what: String| Error::check(format!("`{path}` is not a release manifest: {what}"));
    if bytes.len() as u64 > MOST {
        return Err(bad(format!("it has more than {MOST} bytes")));
    }
    let dist: Dist = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    if dist.schema != dist::SCHEMA {
        return Err(bad(format!("its schema is {}, and not {}", dist.schema, dist::SCHEMA)));
    }
    Ok(dist)
}

impl Base {
    pub(super) fn read(path: &Utf8Path) -> Result<Self> {
        read(path).map(Base)
    }

    /// The size of the file whose path in the release is the end of `path`.
    pub(super) fn file(&self, path: &str) -> Option<u64> {
        let found = self.0.artifacts.iter().find(|artifact| is_end(path, &artifact.path));
        found.map(|artifact| artifact.size)
    }

    /// The size of the image for that platform in the layout whose path in the release is the end
    /// of `path`.
    pub(super) fn image(&self, path: &str, platform: &Platform) -> Option<u64> {
        let image = self.0.images.iter().find(|image| is_end(path, &image.path))?;
        let found = image.platforms.iter().find(|of| of.platform == *platform);
        found.map(|image| image.size)
    }
}

fn is_end(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
