//! The subject of a measurement: binaries, archives and images of a release, or single files.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::Attribution;
use crate::model::{
    platform::Platform,
    schema::{dist::RecordedRequest, size::Dependency},
};

/// The sizes of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeasuredRelease {
    /// Its name, for people.
    pub name: String,
    /// The request, if it is known.
    pub asked: RecordedRequest,
    /// Its binaries.
    pub binaries: Vec<MeasuredBinary>,
    /// Its archives.
    pub archives: Vec<PackedOutput>,
    /// The images of each platform.
    pub images: Vec<PackedOutput>,
}

/// A binary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeasuredBinary {
    /// Its name.
    pub name: String,
    /// Its target, if it is known.
    pub target: Option<String>,
    /// Its OCI platform, if it is known.
    pub platform: Option<Platform>,
    /// Its path.
    pub path: String,
    /// The path or name that was measured.
    pub from: Utf8PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The attribution of its bytes; `None` if only the record of its release is available.
    pub attribution: Option<Attribution>,
    /// The bytes of each crate, if only these are known.
    pub crates: BTreeMap<String, u64>,
    /// The crates that are in it.
    pub dependencies: Vec<Dependency>,
    /// A note on these figures.
    pub note: Option<String>,
}

/// An archive, or the image of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedOutput {
    /// Its name, without a version.
    pub name: String,
    /// Its platform.
    pub platform: Platform,
    /// The target of its binaries, if it is known.
    pub target: Option<String>,
    /// Its path.
    pub path: String,
    /// The path or name that was measured.
    pub from: Utf8PathBuf,
    /// Its size in bytes; of an image, what a pull transfers.
    pub size: u64,
}

impl MeasuredRelease {
    /// Sets `path` as the origin of everything that was measured.
    #[must_use]
    pub fn with_origin(mut self, path: &str) -> Self {
        self.binaries.iter_mut().for_each(|one| one.from = path.into());
        self.archives.iter_mut().chain(&mut self.images).for_each(|one| one.from = path.into());
        self
    }
}

impl MeasuredBinary {
    /// Returns its platform or target, for people.
    pub fn platform_or_target(&self) -> Option<String> {
        self.target.clone().or_else(|| self.platform.as_ref().map(Platform::to_string))
    }

    /// Returns the bytes of each crate; `None` if they are not known.
    pub fn bytes_by_crate(&self) -> BTreeMap<String, u64> {
        let Some(attribution) = &self.attribution else {
            return self.crates.clone();
        };
        attribution.bytes_by_crate()
    }

    /// Returns whether two are for the same machine.
    pub(super) fn is_for_same(&self, other: &MeasuredBinary) -> bool {
        match (&self.target, &other.target) {
            (Some(one), Some(two)) => one == two,
            _ => match (&self.platform, &other.platform) {
                (Some(one), Some(two)) => one == two,
                // One of them is a file without a known target.
                _ => true,
            },
        }
    }
}

impl Attribution {
    /// Returns the bytes of each crate.
    pub fn bytes_by_crate(&self) -> BTreeMap<String, u64> {
        let mut crates: BTreeMap<String, u64> = BTreeMap::new();
        for leaf in &self.leaves {
            match crates.get_mut(&leaf.krate) {
                Some(size) => *size += leaf.size,
                None => drop(crates.insert(leaf.krate.clone(), leaf.size)),
            }
        }
        crates
    }
}
