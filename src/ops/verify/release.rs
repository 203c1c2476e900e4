//! A finished release: every file that its `dist.json` names, and every other file.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    PolicyRules,
    archived::RecordedArchive,
    attestation,
    file::{FileOutcome, FileVerifier},
    find::{FoundJobs, VerifyJob},
    kind::{FileKind, START_SIZE},
};
use crate::{
    binary::elf::Facts,
    image::oci::layout::{INDEX, LAYOUT_FILE, blob_path},
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        error::{Error, Result},
        schema::{
            Dist,
            dist::{self, Channel, Document, DocumentKind, FILE},
            verify::{Checked, NotChecked},
        },
        source::Source,
    },
    ops::{output::manifest, package::channel},
    release::signature::Checksums,
    sys::{
        directory::{DEPTH, Walk, WalkStep},
        file,
        fs::{self, FileType},
    },
    verify,
};

/// The directory of the logs of a build. They differ from run to run, and nothing records them.
const LOGS: &str = "logs/";

/// The directory of the files that users download.
const ARCHIVES: &str = "archives/";

/// A file of a release that is neither a binary nor an archive.
pub(super) struct RecordedFile {
    size: u64,
    sha256: Digest,
    /// Whether it is separate debug information; else it is a text.
    debug: bool,
    /// The release, for the checksums, which are compared with it.
    dist: Option<Box<Dist>>,
    /// The record of a file for all platforms, with its release.
    channel: Option<Box<(Dist, Channel)>>,
}

impl FoundJobs {
    /// Adds the files that the `dist.json` at `path` names, and the files beside them.
    pub(super) fn add_release(&mut self, path: &Utf8Path, rules: &PolicyRules<'_>) -> Result<()> {
        let dist = match read(path) {
            Ok(dist) => dist,
            Err(error) => {
                self.reject(path, &error);
                return Ok(());
            }
        };
        let root = path.with_file_name("");
        let targets = rules.targets(path);
        for archive in &dist.archives {
            let location = root.join(&archive.path);
            match targets.get(&archive.target) {
                Ok(target) => {
                    let policy = rules.target_policy(target, path)?;
                    let archived = RecordedArchive::new(&dist, archive, policy);
                    self.jobs.push(VerifyJob::Archive(location, Box::new(archived)));
                }
                Err(error) => self.reject(&location, &error),
            }
        }
        for artifact in &dist.artifacts {
            let location = root.join(&artifact.path);
            match targets.get(&artifact.target) {
                Ok(target) => {
                    let policy = rules.target_policy(target, path)?;
                    if target.origin != BUILT_IN {
                        self.used.push((path.to_owned(), Some(target.origin.clone())));
                    }
                    self.jobs
                        .push(VerifyJob::Artifact(location, Box::new((artifact.clone(), policy))));
                }
                Err(error) => self.reject(&location, &error),
            }
        }
        for image in &dist.images {
            let of_image = |artifact: &&dist::Artifact| {
                let digests =
                    image.platforms.iter().flat_map(|platform| platform.binaries.values());
                digests.clone().any(|digest| *digest == artifact.sha256)
            };
            let names = dist.artifacts.iter().filter(of_image).map(|artifact| &artifact.target);
            let names: BTreeSet<&String> = names.collect_set();
            let known = names.into_iter().filter_map(|name| targets.get(name).ok().cloned());
            let policies = rules.image_policies(path, known)?;
            self.jobs.push(VerifyJob::Image(
                root.join(&image.path),
                image.digest,
                Box::new(policies),
            ));
        }
        for (name, recorded) in recorded_files(&dist) {
            self.jobs.push(VerifyJob::Recorded(root.join(name), recorded));
        }
        self.used.push((path.to_owned(), None));
        let named = release_files(&dist);
        let before = self.jobs.len();
        let start = if root == "" { Utf8Path::new(".") } else { &root };
        self.reject_unnamed(start, &named);
        let complete = self.jobs.len() == before;
        if complete {
            self.jobs.push(VerifyJob::Done(checked(path, verify::record_verdict(None))));
        }
        Ok(())
    }

    /// Rejects every file below the directory of the release that is not among `named`.
    fn reject_unnamed(&mut self, root: &Utf8Path, named: &BTreeSet<String>) {
        for step in Walk::new(root, DEPTH) {
            let (path, meta) = match step {
                WalkStep::Directory(..) => continue,
                WalkStep::Unreadable(path, error) | WalkStep::NotUtf8(path, error) => {
                    self.reject(&path, &error);
                    continue;
                }
                WalkStep::Entry(path, meta) => (path, meta),
            };
            let within = path.strip_prefix(root).unwrap_or(&path).as_str();
            let why = match FileType::from(&meta) {
                FileType::Directory => continue,
                // Of `archives/`, as users download them: attestations may be added there.
                FileType::File { .. }
                    if within.starts_with(ARCHIVES) && attestation::is_bundle(&path) =>
                {
                    self.bundles.push(path);
                    continue;
                }
                FileType::File { .. } if named.contains(within) => continue,
                FileType::File { .. } if within.starts_with(LOGS) && is_text(&path) => {
                    let reason = "a log of the build, which `dist.json` does not name".to_owned();
                    self.not_checked.push(NotChecked { path: path.into_string(), reason });
                    continue;
                }
                FileType::File { .. } => "`dist.json` does not name it",
                FileType::Link => "it is a symbolic link, and a release has only files",
                FileType::Other => "it is neither a file nor a directory",
            };
            self.jobs.push(VerifyJob::Done(checked(&path, verify::record_verdict(Some(why)))));
        }
    }
}

/// The origin of targets that come with this program.
pub(super) const BUILT_IN: &str = "built in";

fn checked(path: &Utf8Path, verdict: dist::Verdict) -> Checked {
    Checked { path: path.to_string(), target: None, sha256: None, verdict, facts: Vec::new() }
}

/// Returns whether the file is neither a program, nor a script, nor an archive.
pub(super) fn is_text(path: &Utf8Path) -> bool {
    fs::read_start(path, START_SIZE).is_ok_and(|start| {
        matches!(FileKind::detect(&start), FileKind::Other("empty" | "no program"))
    })
}

/// Reads a release manifest of a release that has binaries.
///
/// # Errors
/// It cannot be read, or has none.
pub(super) fn read(path: &Utf8Path) -> Result<Dist> {
    let dist = manifest::read(path)?;
    if dist.artifacts.is_empty() {
        return Err(Error::check(format!("`{path}` has no artifacts")));
    }
    Ok(dist)
}

/// Returns the files that are neither binaries nor archives.
fn recorded_files(dist: &Dist) -> Vec<(&str, RecordedFile)> {
    let file =
        |size, sha256, debug| RecordedFile { size, sha256, debug, dist: None, channel: None };
    let mut all = Vec::new();
    for artifact in &dist.artifacts {
        let debug = artifact.debug.iter();
        all.extend(debug.map(|entry| (entry.path.as_str(), file(entry.size, entry.sha256, true))));
        let sizes = artifact.attribution.iter();
        all.extend(
            sizes.map(|record| (record.path.as_str(), file(record.size, record.sha256, false))),
        );
    }
    let companions = dist.companions.iter();
    all.extend(
        companions.map(|companion| {
            (companion.path.as_str(), file(companion.size, companion.sha256, false))
        }),
    );
    for channel in &dist.channels {
        let mut file = file(channel.size, channel.sha256, false);
        file.channel = Some(Box::new((dist.clone(), channel.clone())));
        all.push((channel.path.as_str(), file));
    }
    for Document { kind, path, size, sha256, .. } in &dist.documents {
        let mut file = file(*size, *sha256, false);
        if *kind == DocumentKind::Checksums && path == crate::ops::package::checksum::CHECKSUMS_PATH
        {
            file.dist = Some(Box::new(dist.clone()));
        }
        all.push((path.as_str(), file));
    }
    all
}

fn named_files(dist: &Dist) -> Vec<String> {
    let artifacts = dist.artifacts.iter().map(|artifact| artifact.path.clone());
    let archives = dist.archives.iter().map(|archive| archive.path.clone());
    let others = recorded_files(dist).into_iter().map(|(path, _)| path.to_owned());
    artifacts.chain(archives).chain(others).collect()
}

/// Returns every file of the release: those that `dist.json` names, itself, and those of its layouts.
fn release_files(dist: &Dist) -> BTreeSet<String> {
    let mut named: BTreeSet<String> = named_files(dist).into_iter().collect_set();
    named.insert(FILE.to_owned());
    for image in &dist.images {
        let inner = image.platforms.iter().flat_map(|platform| {
            let layers = platform.layers.iter().map(|layer| layer.digest);
            [platform.manifest, platform.config].into_iter().chain(layers)
        });
        let blobs = inner.chain([image.digest]).map(blob_path);
        let own = [LAYOUT_FILE.0.to_owned(), INDEX.to_owned()];
        named.extend(own.into_iter().chain(blobs).map(|file| format!("{}/{file}", image.path)));
    }
    named
}

impl FileVerifier<'_> {
    /// Compares a file with its record in `dist.json`. A file that matches is not reported.
    pub(super) fn check_recorded(&self, path: &Utf8Path, recorded: &RecordedFile) -> FileOutcome {
        let why = match self.compare(path, recorded) {
            Ok(None) => return FileOutcome::default(),
            Ok(Some(why)) => why,
            Err(error) => error.to_string(),
        };
        FileOutcome::from_checked(checked(path, verify::record_verdict(Some(&why))))
    }

    fn compare(&self, path: &Utf8Path, recorded: &RecordedFile) -> Result<Option<String>> {
        self.cx.children.check()?;
        if !matches!(fs::file_type(path, false)?, FileType::File { .. }) {
            return Ok(Some("it is not a regular file".to_owned()));
        }
        let (digest, size) = fs::digest(path)?;
        if (digest, size) != (recorded.sha256, recorded.size) {
            return Ok(Some(format!(
                "expected {} bytes with digest `{}`, got {size} bytes with digest `{digest}`",
                recorded.size, recorded.sha256
            )));
        }
        if recorded.debug {
            let file = file::open(path)?;
            let detached = Facts::read(Source::File(&file)).is_ok_and(|facts| facts.detached);
            return Ok((!detached).then(|| "it is not separate debug information".to_owned()));
        }
        if FileKind::detect(&fs::read_start(path, START_SIZE)?).skipped().is_none() {
            return Ok(Some("it is a program, and recorded as something else".to_owned()));
        }
        if let Some((dist, channel)) = recorded.channel.as_deref() {
            return channel::problem(dist, channel, path);
        }
        if let Some(dist) = &recorded.dist {
            let sums = Checksums::parse(&fs::read(path)?)?;
            return Ok(crate::ops::output::checksums::check_recorded(dist, &sums)
                .err()
                .map(|error| error.to_string()));
        }
        Ok(None)
    }
}

/// Returns the directory of the release that `path` is, if it is one.
pub(super) fn release_directory(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let manifest = manifest::manifest_path(path)?;
    Some(match manifest.parent() {
        Some(parent) if parent != "" => parent.to_owned(),
        _ => ".".into(),
    })
}
