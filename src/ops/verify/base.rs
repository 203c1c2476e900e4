//! The sizes of an earlier release.

use camino::Utf8Path;

use crate::{
    model::{
        error::Result,
        platform::Platform,
        schema::{Dist, dist::Archive},
    },
    ops::output::manifest,
};

/// An earlier release.
pub(super) struct BaseSizes(Dist);

impl BaseSizes {
    pub(super) fn read(path: &Utf8Path) -> Result<Self> {
        manifest::read(path).map(BaseSizes)
    }

    /// Returns the size of the file in the release with a path that is the end of `path`.
    pub(super) fn file(&self, path: &str) -> Option<u64> {
        let found = self.0.artifacts.iter().find(|artifact| is_suffix(path, &artifact.path));
        found.map(|artifact| artifact.size)
    }

    /// Returns the size of the archive in the release with a path that is the end of `path`, except for
    /// the version in both.
    pub(super) fn archive(&self, path: &str) -> Option<u64> {
        let same = |archive: &&Archive| match archive.path.split_once(&archive.version) {
            Some((before, after)) => path
                .strip_suffix(after)
                .and_then(|path| path.rfind(before).and_then(|at| path.get(at + before.len()..)))
                .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())),
            None => is_suffix(path, &archive.path),
        };
        self.0.archives.iter().find(same).map(|archive| archive.size)
    }

    /// Returns the size of the image for that platform in the layout of the release with a path that is
    /// the end of `path`.
    pub(super) fn image(&self, path: &str, platform: &Platform) -> Option<u64> {
        let image = self.0.images.iter().find(|image| is_suffix(path, &image.path))?;
        let found = image.platforms.iter().find(|entry| entry.platform == *platform);
        found.map(|image| image.size)
    }
}

fn is_suffix(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
