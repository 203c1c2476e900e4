//! The sizes of an earlier release.

use camino::Utf8Path;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    model::{
        error::{Error, Result},
        platform::Platform,
        schema::dist::{self, Dist},
    },
    sys::fs,
};

/// The largest `dist.json`.
const MOST: u64 = 64 << 20;

/// What an earlier `dist.json` says of sizes. Nothing else of it is read, so that it may be of
/// another version.
#[derive(Deserialize)]
pub(super) struct Base {
    artifacts: Vec<Artifact>,
    #[serde(default)]
    images: Vec<Image>,
    #[serde(default)]
    archives: Vec<Archive>,
}

#[derive(Deserialize)]
struct Archive {
    path: String,
    version: String,
    size: u64,
}

#[derive(Deserialize)]
struct Artifact {
    path: String,
    size: u64,
}

#[derive(Deserialize)]
struct Image {
    path: String,
    platforms: Vec<PlatformImage>,
}

#[derive(Deserialize)]
struct PlatformImage {
    platform: Platform,
    size: u64,
}

/// Reads a `dist.json`.
pub(in crate::ops) fn read(path: &Utf8Path) -> Result<Dist> {
    let dist: Dist = parse(path)?;
    let bad = |what: String| Error::check(format!("`{path}` is not a release manifest: {what}"));
    if dist.schema != dist::SCHEMA {
        return Err(bad(format!("its schema is {}, and not {}", dist.schema, dist::SCHEMA)));
    }
    Ok(dist)
}

fn parse<T: DeserializeOwned>(path: &Utf8Path) -> Result<T> {
    let bytes = fs::read_start(path, MOST + 1)?;
    let bad = |what: String| Error::check(format!("`{path}` is not a release manifest: {what}"));
    if bytes.len() as u64 > MOST {
        return Err(bad(format!("it has more than {MOST} bytes")));
    }
    serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
}

impl Base {
    pub(super) fn read(path: &Utf8Path) -> Result<Self> {
        parse(path)
    }

    /// The size of the file whose path in the release is the end of `path`.
    pub(super) fn file(&self, path: &str) -> Option<u64> {
        let found = self.artifacts.iter().find(|artifact| is_end(path, &artifact.path));
        found.map(|artifact| artifact.size)
    }

    /// The size of the archive whose path in the release is the end of `path`, but for the version
    /// in both.
    pub(super) fn archive(&self, path: &str) -> Option<u64> {
        let same = |archive: &&Archive| match archive.path.split_once(&archive.version) {
            Some((before, after)) => path
                .strip_suffix(after)
                .and_then(|path| path.rfind(before).and_then(|at| path.get(at + before.len()..)))
                .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())),
            None => is_end(path, &archive.path),
        };
        self.archives.iter().find(same).map(|archive| archive.size)
    }

    /// The size of the image for that platform in the layout whose path in the release is the end
    /// of `path`.
    pub(super) fn image(&self, path: &str, platform: &Platform) -> Option<u64> {
        let image = self.images.iter().find(|image| is_end(path, &image.path))?;
        let found = image.platforms.iter().find(|of| of.platform == *platform);
        found.map(|image| image.size)
    }
}

fn is_end(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
