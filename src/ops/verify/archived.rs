//! Archives that a `dist.json` records: their contents match it, and the binaries in them are those
//! beside them.

use camino::Utf8Path;

use super::look::{Looker, Outcome, refused};
use crate::{
    model::schema::{
        Dist,
        dist::{Archive, ArchiveKind, Artifact, Packed},
        package::{ArchiveListing, Entry},
    },
    ops::package::list,
    verify::Policy,
};

/// An archive, and the binaries that have to be in it.
pub(super) struct Archived {
    pub(super) archive: Archive,
    pub(super) binaries: Vec<Artifact>,
    pub(super) policy: Policy,
}

impl Archived {
    pub(super) fn new(dist: &Dist, archive: &Archive, policy: Policy) -> Self {
        let name = Utf8Path::new(&archive.path).file_name().unwrap_or_default();
        // Its own plan, if each binary has a separate archive.
        let plans = dist.packages.iter().filter(|plan| {
            plan.package == archive.package
                && plan.target == archive.target
                && (name.starts_with(&format!("{}.", plan.name))
                    || plan.deb.as_ref().is_some_and(|deb| {
                        name.starts_with(&format!("{}_", deb.name))
                            && archive.kind == ArchiveKind::Deb
                    }))
        });
        let names: Vec<&str> = plans.flat_map(|plan| &plan.binaries).map(String::as_str).collect();
        let in_it = |artifact: &&Artifact| {
            artifact.package == archive.package
                && artifact.target == archive.target
                && names.contains(&artifact.name.as_str())
        };
        let binaries = dist.artifacts.iter().filter(in_it).cloned().collect();
        Archived { archive: archive.clone(), binaries, policy }
    }

    /// Returns the problem with the contents.
    fn differences(&self, found: &ArchiveListing) -> Vec<String> {
        let mut wrong = Vec::new();
        let record = &self.archive;
        if (found.sha256, found.size) != (record.sha256, record.size) {
            wrong.push(format!(
                "its digest is {}, and `dist.json` says {}",
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
                wrong.push(format!("`{}` is not in it as `dist.json` says", packed.path));
            }
        }
        for entry in &found.contents {
            if !record.contents.iter().any(|packed| same(entry, packed)) {
                wrong.push(format!("`dist.json` does not know of `{}` in it", entry.path));
            }
        }
        for binary in self.binaries.iter().filter(|_| record.kind != ArchiveKind::Debug) {
            if !found.contents.iter().any(|entry| entry.sha256 == Some(binary.sha256)) {
                wrong.push(format!("`{}` is not in it, by its digest", binary.path));
            }
        }
        if self.binaries.is_empty() && record.kind != ArchiveKind::Debug {
            wrong.push("`dist.json` says of no binary that it is in it".to_owned());
        }
        wrong
    }
}

impl Looker<'_> {
    /// Returns the result for an archive of a `dist.json`.
    pub(super) fn archived(&self, path: &Utf8Path, of: &Archived) -> Outcome {
        let wrong = match list::list(path) {
            Ok(found) => of.differences(&found),
            Err(error) => vec![error.to_string()],
        };
        if !wrong.is_empty() {
            return Outcome::of(refused(path.as_str(), &wrong.join("; ")));
        }
        // Debug information is not a program; every other file in such an archive gets a verdict.
        self.file(path, &of.policy, of.archive.kind == ArchiveKind::Debug)
    }
}
