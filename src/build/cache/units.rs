//! The files below the target directory that belong to the last build.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::CacheKey;
use crate::model::collect::CollectOrdered as _;

/// The record that a build writes beside cargo's output, for a later save.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BuildRecord {
    /// The format's number.
    pub schema: u32,
    /// The key of the build.
    pub key: CacheKey,
    /// Every unit that cargo reported, compiled or fresh.
    pub units: Vec<Unit>,
    /// The parts of zig's cache that the build's links need.
    pub zig: BTreeSet<String>,
}

/// A unit that cargo built or ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Unit {
    /// Cargo's id of the package.
    pub package: String,
    /// The directory of the package; absent for a build script that was run.
    pub root: Option<Utf8PathBuf>,
    /// The files that cargo named; for a build script that was run, the directory of its outputs.
    pub files: Vec<Utf8PathBuf>,
    /// Whether it is the run of a build script.
    pub script: bool,
}

impl Unit {
    /// Returns whether the package's source is in a directory of the user, so that cargo compares its files;
    /// those of a registry or a git repository are considered immutable.
    pub fn is_local(&self) -> bool {
        self.package.starts_with("path+")
    }

    /// Returns the hashes in the names of its files.
    pub fn hashes(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|file| {
            // A build script and its outputs have theirs in the name of their directory.
            name_hash(file.file_name()?).or_else(|| name_hash(file.parent()?.file_name()?))
        })
    }
}

/// Returns the hash that cargo put into the name of a file or directory: 16 hexadecimal digits between the last
/// `-` and the first `.` after it.
pub fn name_hash(name: &str) -> Option<&str> {
    let stem = name.split('.').next()?;
    let (_, hash) = stem.rsplit_once('-')?;
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    (hash.len() == 16 && hash.chars().all(hex)).then_some(hash)
}

/// The files of the last build, as opposed to those of older ones.
#[derive(Clone, Debug, Default)]
pub struct LastBuild {
    /// The hashes of the units.
    pub hashes: BTreeSet<String>,
    /// Files without one, relative to the target directory.
    pub files: BTreeSet<Utf8PathBuf>,
}

impl LastBuild {
    /// Returns the files below `target` that the units name by a hash or a path.
    pub fn new(units: &[Unit], target: &Utf8Path) -> Self {
        let hashes = units.iter().flat_map(Unit::hashes).map(str::to_owned).collect_set();
        let named = units.iter().flat_map(|unit| &unit.files);
        let inside = named.filter_map(|file| file.strip_prefix(target).ok());
        // Cargo writes dep-info for other programs beside what it puts in the profile's directory.
        let files = inside.flat_map(|file| [file.to_owned(), file.with_extension("d")]);
        let tag = Utf8PathBuf::from("CACHEDIR.TAG");
        LastBuild { hashes, files: files.chain([tag]).collect_set() }
    }

    /// Returns whether the file belongs to the last build. `path` is relative to the target directory.
    pub fn contains(&self, path: &Utf8Path) -> bool {
        let mut parts = path.components().map(|part| part.as_str());
        self.files.contains(path)
            || !parts.clone().any(|part| part == "incremental")
                && parts.any(|part| name_hash(part).is_some_and(|hash| self.hashes.contains(hash)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_found_in_names() {
        for name in ["libsyn-12a6b9068c182d6e.rlib", "syn-12a6b9068c182d6e", "a-12a6b9068c182d6e.d"]
        {
            assert_eq!(name_hash(name), Some("12a6b9068c182d6e"), "{name}");
        }
        for name in ["hexyl", "build-script-build", "a-12a6b9068c182d6", "a-12A6b9068c182d6e"] {
            assert_eq!(name_hash(name), None, "{name}");
        }
    }

    #[test]
    fn files_of_older_builds_are_left_out() {
        let unit = |files: &[&str], script| Unit {
            package: "path+file:///w#a@1.0.0".into(),
            root: Some("/w".into()),
            files: files.iter().map(Utf8PathBuf::from).collect(),
            script,
        };
        let units = [
            unit(&["/w/t/T/dist/deps/liba-0000000000000001.rlib"], false),
            unit(&["/w/t/T/dist/a"], false),
            unit(&["/w/t/dist/build/a-0000000000000002/build-script-build"], false),
            unit(&["/w/t/T/dist/build/a-0000000000000003/out"], true),
        ];
        let keep = LastBuild::new(&units, "/w/t".into());
        for path in [
            "CACHEDIR.TAG",
            "T/dist/a",
            "T/dist/a.d",
            "T/dist/deps/a-0000000000000001.d",
            "T/dist/.fingerprint/a-0000000000000001/lib-a",
            "dist/build/a-0000000000000002/build_script_build-0000000000000002",
            "T/dist/build/a-0000000000000003/out/x/y",
        ] {
            assert!(keep.contains(path.into()), "{path}");
        }
        for path in [
            ".rustc_info.json",
            "T/dist/b",
            "T/dist/deps/liba-0000000000000009.rlib",
            "T/dist/incremental/a-0000000000000001/x",
        ] {
            assert!(!keep.contains(path.into()), "{path}");
        }
    }
}
