//! What there is to measure: binaries, archives and images of one release, or what stands for one.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::Attribution;
use crate::model::{
    platform::Platform,
    schema::{dist::RecordedRequest, size::Dependency},
};

/// The sizes of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// What it is, for people.
    pub name: String,
    /// The request, if it is known.
    pub asked: RecordedRequest,
    /// Its binaries.
    pub binaries: Vec<Binary>,
    /// Its archives.
    pub archives: Vec<Whole>,
    /// The images of each platform.
    pub images: Vec<Whole>,
}

/// A binary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binary {
    /// Its name.
    pub name: String,
    /// What it was compiled for, where that is known.
    pub target: Option<String>,
    /// What OCI calls it, where that is known.
    pub platform: Option<Platform>,
    /// Where it is.
    pub path: String,
    /// The path or name that was measured.
    pub from: Utf8PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The attribution of its bytes; `None` if only the record of its release is available.
    pub attribution: Option<Attribution>,
    /// The bytes of each crate, where that is all that is known.
    pub crates: BTreeMap<String, u64>,
    /// The crates that are in it.
    pub dependencies: Vec<Dependency>,
    /// What has to be known of these figures.
    pub note: Option<String>,
}

/// An archive, or the image of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its name, without a version.
    pub name: String,
    /// What it is for.
    pub platform: Platform,
    /// What its binaries were compiled for, where that is known.
    pub target: Option<String>,
    /// Where it is.
    pub path: String,
    /// The path or name that was measured.
    pub from: Utf8PathBuf,
    /// Its size in bytes; of an image, what a pull transfers.
    pub size: u64,
}

impl Release {
    /// Notes that all of it is what was measured under the name `path`.
    #[must_use]
    pub fn from(mut self, path: &str) -> Self {
        self.binaries.iter_mut().for_each(|one| one.from = path.into());
        self.archives.iter_mut().chain(&mut self.images).for_each(|one| one.from = path.into());
        self
    }
}

impl Binary {
    /// Its platform or target, for people.
    pub fn place(&self) -> Option<String> {
        self.target.clone().or_else(|| self.platform.as_ref().map(Platform::to_string))
    }

    /// The bytes of each crate; `None` if they are not known.
    pub fn by_crate(&self) -> BTreeMap<String, u64> {
        let Some(attribution) = &self.attribution else {
            return self.crates.clone();
        };
        attribution.by_crate()
    }

    /// Whether two are for the same machine.
    pub(super) fn is_for_same(&self, other: &Binary) -> bool {
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
    /// The bytes of each crate.
    pub fn by_crate(&self) -> BTreeMap<String, u64> {
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
