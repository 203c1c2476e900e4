//! Archives of a `dist.json`: their contents must match it, and their binaries those beside them.

use camino::Utf8Path;

use super::file::{FileOutcome, FileVerifier, rejected};
use crate::{
    model::schema::{
        Dist,
        dist::{Archive, ArchiveKind, Artifact, Packed},
        package::{ArchiveListing, Entry},
    },
    ops::package::{form, list},
    verify::Policy,
};

/// An archive, and the binaries that it must contain.
pub(super) struct RecordedArchive {
    pub(super) archive: Archive,
    pub(super) binaries: Vec<Artifact>,
    pub(super) policy: Policy,
}

impl RecordedArchive {
    pub(super) fn new(dist: &Dist, archive: &Archive, policy: Policy) -> Self {
        // Its own plan, if each binary has a separate archive.
        let plans = dist.packages.iter().filter(|plan| form::is_made_of(archive, plan));
        let names: Vec<&str> = plans.flat_map(|plan| &plan.binaries).map(String::as_str).collect();
        let in_it = |artifact: &&Artifact| {
            artifact.package == archive.package
                && artifact.target == archive.target
                && names.contains(&artifact.name.as_str())
        };
        let binaries = dist.artifacts.iter().filter(in_it).cloned().collect();
        RecordedArchive { archive: archive.clone(), binaries, policy }
    }

    /// Returns the problem with the contents.
    fn differences(&self, found: &ArchiveListing) -> Vec<String> {
        let mut wrong = Vec::new();
        let record = &self.archive;
        if (found.sha256, found.size) != (record.sha256, record.size) {
            wrong.push(format!(
                "its digest is {}, expected {} by `dist.json`",
                found.sha256, record.sha256
            ));
        }
        let same = |entry: &Entry, packed: &Packed| {
            entry.path == packed.path
                && entry.sha256 == Some(packed.sha256)
                && entry.mode.is_none_or(|mode| (mode & 0o111 != 0) == packed.executable)
        };
        for packed in &record.contents {
            if !found.contents.iter().any(|entry| same(entry, packed)) {
                wrong.push(format!("`{}` in it does not match `dist.json`", packed.path));
            }
        }
        for entry in &found.contents {
            if !record.contents.iter().any(|packed| same(entry, packed)) {
                wrong.push(format!("`dist.json` does not list `{}` in it", entry.path));
            }
        }
        for binary in self.binaries.iter().filter(|_| record.kind != ArchiveKind::Debug) {
            if !found.contents.iter().any(|entry| entry.sha256 == Some(binary.sha256)) {
                wrong.push(format!("`{}` is not in it, by its digest", binary.path));
            }
        }
        if self.binaries.is_empty() && record.kind != ArchiveKind::Debug {
            wrong.push("`dist.json` lists no binary in it".to_owned());
        }
        wrong
    }
}

impl FileVerifier<'_> {
    /// Returns the result for an archive of a `dist.json`.
    pub(super) fn check_archive(&self, path: &Utf8Path, recorded: &RecordedArchive) -> FileOutcome {
        let wrong = match list::list(path) {
            Ok(found) => recorded.differences(&found),
            Err(error) => vec![error.to_string()],
        };
        if !wrong.is_empty() {
            return FileOutcome::from_checked(rejected(path.as_str(), &wrong.join("; ")));
        }
        // Debug information is not a program; every other file in such an archive gets a verdict.
        self.check_path(path, &recorded.policy, recorded.archive.kind == ArchiveKind::Debug)
    }
}
