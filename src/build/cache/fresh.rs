//! The record of the inputs that each unit was compiled from. Cargo compares modification times only, so a
//! source file that is replaced by another one with an older time (`cp -p`, `rsync -t`, `tar x`, a clock that
//! was set back) looks unchanged to it. The record has the digest of every input; a unit with an input that
//! differs is removed before cargo runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{InputContent, Time, name_hash};
use crate::model::{collect::CollectOrdered as _, digest::Digest};

/// The format that this version writes, and the only one that it reads.
pub const INPUT_RECORD_SCHEMA: u32 = 1;

/// The metadata that changes when a file is written, replaced or renamed. The change time cannot be
/// set by programs, so that it also reveals a copied modification time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stamp {
    /// Size in bytes.
    pub size: u64,
    /// Modification time.
    pub modified: Time,
    /// Change time of the inode.
    pub changed: Time,
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

impl Stamp {
    /// Returns whether the file last changed before `moment`, by the clock of the file system. Times without
    /// fractions are compared by seconds.
    pub fn is_older_than(&self, moment: Time) -> bool {
        match self.changed {
            (seconds, 0) => seconds < moment.0,
            changed => changed < moment,
        }
    }
}

/// The inputs of a unit when it was compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UnitInputs {
    /// The content of each input, by its absolute path; `None` for a path that did not exist.
    pub inputs: BTreeMap<String, Option<InputContent>>,
    /// The package with all its files, for a build script that names no inputs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub package: Option<Listing>,
}

/// The files of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Listing {
    /// Its directory.
    pub root: String,
    /// The digest of the sorted names.
    pub names: Digest,
}

/// A unit of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RecordedUnit {
    /// The stamp of the file that names the inputs: it changes when the unit is compiled again.
    pub stamp: Stamp,
    /// The inputs that it was compiled from.
    pub sources: UnitInputs,
}

/// The inputs of all units in a target directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InputRecord {
    /// The format's number.
    pub schema: u32,
    /// The units, by the path of the file that names their inputs, relative to the target directory.
    pub units: BTreeMap<String, RecordedUnit>,
    /// The content of files with this stamp, so that unchanged files are not read again.
    pub files: BTreeMap<String, (Stamp, InputContent)>,
}

impl InputRecord {
    /// Parses `text`; returns an empty record if it is missing, truncated, or of another format.
    pub fn parse(text: Option<&str>) -> Self {
        let parsed = text.and_then(|text| serde_json::from_str::<InputRecord>(text).ok());
        parsed.filter(|record| record.schema == INPUT_RECORD_SCHEMA).unwrap_or_else(|| {
            InputRecord { schema: INPUT_RECORD_SCHEMA, ..InputRecord::default() }
        })
    }

    /// Removes the content of files that no unit uses any more.
    pub fn prune(&mut self) {
        let used: BTreeSet<&String> =
            self.units.values().flat_map(|unit| unit.sources.inputs.keys()).collect_set();
        let unused = |path: &String| !used.contains(path);
        let unused: Vec<String> = self.files.keys().filter(|path| unused(path)).cloned().collect();
        for path in unused {
            self.files.remove(&path);
        }
    }
}

/// Returns the unit that the file at `path` belongs to: the hash in its name, or in the name of its directory;
/// the path itself for the few that cargo names without a hash (`cdylib`).
pub fn unit_hash(path: &str) -> String {
    let mut parts = path.rsplit('/').take(2);
    parts.find_map(name_hash).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(changed: Time) -> Stamp {
        Stamp { size: 1, modified: (1, 0), changed, device: 1, inode: 1 }
    }

    #[test]
    fn changes_in_the_same_tick_count_as_later() {
        assert!(stamp((5, 10)).is_older_than((5, 11)));
        assert!(!stamp((5, 10)).is_older_than((5, 10)));
        assert!(!stamp((5, 0)).is_older_than((5, 900)));
        assert!(stamp((4, 0)).is_older_than((5, 0)));
    }

    #[test]
    fn units_are_named_by_their_hash() {
        for (path, unit) in [
            ("T/dist/deps/app-b70d33eb46d45607.d", "b70d33eb46d45607"),
            ("dist/build/a-0000000000000002/output", "0000000000000002"),
            (
                "dist/build/a-0000000000000002/build_script_build-0000000000000002.d",
                "0000000000000002",
            ),
            ("T/dist/deps/foo.d", "T/dist/deps/foo.d"),
        ] {
            assert_eq!(unit_hash(path), unit);
        }
    }

    #[test]
    fn unreadable_records_are_empty() {
        for text in [None, Some(""), Some("{"), Some(r#"{"schema":9,"units":{},"files":{}}"#)] {
            assert_eq!(InputRecord::parse(text).units.len(), 0);
        }
        let mut record = InputRecord::parse(None);
        let state = InputContent::Link("x".into());
        record.files.insert("/a".into(), (stamp((1, 1)), state.clone()));
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(InputRecord::parse(Some(&text)), record);
        record.prune();
        assert!(record.files.is_empty());
    }
}
