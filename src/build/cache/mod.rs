//! The cache of cargo's output, which is restored in a fresh clone: its contents, its key, and the preparations
//! after which cargo considers exactly the unchanged units fresh.
//!
//! Cargo compares modification times
//! (<https://doc.rust-lang.org/nightly/nightly-rustc/cargo/core/compiler/fingerprint/index.html>,
//! "Mtime comparison"): a unit is built again when one of its inputs is newer than its dep-info file.
//! After a clone every source is. So the cache remembers each input by its content, and an input that
//! still has it gets the time that it had.

mod authentic;
mod contents;
mod fresh;
mod input;
mod units;

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

pub use self::{
    authentic::{SECRET, parse_secret},
    contents::{Contents, NAME_LIMIT, is_cached, is_plausible, is_zig_part, stays_inside},
    fresh::{
        INPUT_RECORD_SCHEMA, InputRecord, Listing, RecordedUnit, Stamp, UnitInputs, unit_hash,
    },
    input::{
        CurrentInput, Decision, Input, InputContent, decide, hides_change, parse_dep_info,
        parse_rerun_if_changed,
    },
    units::{BuildRecord, LastBuild, Unit, name_hash},
};
use crate::model::digest::Digest;

/// The number of the format that this version writes, and the only one that it reads.
pub const SCHEMA: u32 = 2;

/// The header's name in the directory of a cache.
pub const HEADER: &str = "longshore-cache.json";

/// A time of the file system: seconds since 1970, and nanoseconds.
pub type Time = (i64, u32);

/// The dependencies of the complete cache, by name: programs with their versions, and the directories
/// with names in cargo's fingerprints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CacheKey(pub BTreeMap<String, String>);

impl CacheKey {
    /// Returns the reasons for which a cache with this key cannot be used with the key `here`, one sentence
    /// each.
    pub fn differences(&self, here: &CacheKey) -> Vec<String> {
        let names = self.0.keys().chain(here.0.keys().filter(|name| !self.0.contains_key(*name)));
        let value =
            |key: &CacheKey, name: &str| key.0.get(name).map_or("nothing", |v| v).to_owned();
        names
            .filter(|name| self.0.get(*name) != here.0.get(*name))
            .map(|name| {
                format!("its {name} is `{}`, here it is `{}`", value(self, name), value(here, name))
            })
            .collect()
    }
}

impl CacheKey {
    /// Returns whether cargo considers the file immutable: one of the source of a registry or a git repository
    /// in cargo's home.
    pub fn is_unchangeable(&self, path: &Utf8Path) -> bool {
        let home = self.0.get("cargo home").map(Utf8Path::new);
        let inside = |dir: &str| home.is_some_and(|home| path.starts_with(home.join(dir)));
        inside("registry") || inside("git")
    }
}

/// The small file beside the archive, read first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CacheHeader {
    /// The format's number: 2.
    pub schema: u32,
    /// The dependencies of the complete cache.
    pub key: CacheKey,
    /// The archive's name in the same directory.
    pub archive: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// The archive's files, and their bytes before compression.
    pub files: u64,
    /// Their bytes before compression.
    pub bytes: u64,
    /// Units in it.
    pub units: u64,
    /// The number of recorded inputs.
    pub inputs: u64,
    /// The time at which it was saved, by the clock of the file system.
    pub saved: Time,
    /// The message authentication code of all of the above, if it was saved with a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Digest>,
}

/// The archive's first entry, which describes the others and their inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CacheManifest {
    /// The time of each entry by its name, which a tar keeps to the second only.
    pub times: BTreeMap<String, Time>,
    /// The inputs that cargo compares, by absolute path.
    pub inputs: BTreeMap<String, Input>,
    /// The symbolic links among them, with their targets.
    pub links: BTreeMap<String, Input>,
    /// Packages with a build script that names no inputs, with the units that run it: cargo compares
    /// every file of the package then.
    pub packages: BTreeMap<String, Vec<String>>,
    /// The inputs that each unit was compiled from, by the file that names them.
    pub units: BTreeMap<String, UnitInputs>,
}

/// Returns whether `path`, of an archive, stays in the directory where it is unpacked: relative, without `..`,
/// and without anything that a file system could interpret differently.
pub fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\0')
        && path.split('/').all(|part| !["", ".", ".."].contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_the_key() {
        let key = |pairs: &[(&str, &str)]| {
            CacheKey(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
        };
        let one = key(&[("rustc", "1.95.0"), ("zig", "0.15.2")]);
        assert_eq!(one.differences(&one), Vec::<String>::new());
        let other = key(&[("rustc", "1.96.0"), ("zig", "0.15.2"), ("host", "x")]);
        assert_eq!(
            one.differences(&other),
            ["its rustc is `1.95.0`, here it is `1.96.0`", "its host is `nothing`, here it is `x`"]
        );
    }

    #[test]
    fn paths_that_lead_outside_are_detected() {
        for path in ["a", "a/b.c", "a/..b"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["", "/a", "..", "a/../b", "a//b", "./a", "a/", "a\0"] {
            assert!(!is_inside(path), "{path}");
        }
    }
}
