//! A finished release: every file that its `dist.json` names, and every file that it does not.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    Rules,
    archived::Archived,
    find::{Found, Job},
    kind::{FileKind, START},
    look::{Looker, Outcome},
};
use crate::{
    binary::elf::Facts,
    image::oci::layout::{INDEX, LAYOUT_FILE, blob_path},
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::{
            Dist,
            dist::{self, Document, DocumentKind, FILE},
            verify::{Checked, NotChecked},
        },
        source::Source,
    },
    ops::output::manifest,
    release::signature::Checksums,
    sys::{
        directory::{DEPTH, Step, Walk},
        file,
        fs::{self, Kind},
    },
    verify,
};

/// The directory of the logs of a build. They differ from run to run, and nothing records them.
const LOGS: &str = "logs/";

/// A file of a release that is neither a binary nor an archive.
pub(super) struct Recorded {
    size: u64,
    sha256: Digest,
    /// Whether it is separate debug information; else it is a text.
    debug: bool,
    /// The release, for the checksums, which are compared with it.
    dist: Option<Box<Dist>>,
}

impl Found {
    /// Adds the files that the `dist.json` at `path` names, and the files beside them.
    pub(super) fn release(&mut self, path: &Utf8Path, rules: &Rules<'_>) -> Result<()> {
        let dist = match read(path) {
            Ok(dist) => dist,
            Err(error) => {
                self.refuse(path, &error);
                return Ok(());
            }
        };
        let root = path.with_file_name("");
        let targets = rules.targets(path);
        for archive in &dist.archives {
            let place = root.join(&archive.path);
            match targets.get(&archive.target) {
                Ok(target) => {
                    let policy = rules.of_target(target, path)?;
                    let archived = Archived::new(&dist, archive, policy);
                    self.jobs.push(Job::Archive(place, Box::new(archived)));
                }
                Err(error) => self.refuse(&place, &error),
            }
        }
        for artifact in &dist.artifacts {
            let place = root.join(&artifact.path);
            match targets.get(&artifact.target) {
                Ok(target) => {
                    let policy = rules.of_target(target, path)?;
                    if target.origin != BUILT_IN {
                        self.used.push((path.to_owned(), Some(target.origin.clone())));
                    }
                    self.jobs.push(Job::Artifact(place, Box::new((artifact.clone(), policy))));
                }
                Err(error) => self.refuse(&place, &error),
            }
        }
        for image in &dist.images {
            let of_image = |artifact: &&dist::Artifact| {
                let digests = image.platforms.iter().flat_map(|of| of.binaries.values());
                digests.clone().any(|digest| *digest == artifact.sha256)
            };
            let names = dist.artifacts.iter().filter(of_image).map(|artifact| &artifact.target);
            let names: BTreeSet<&String> = names.collect();
            let known = names.into_iter().filter_map(|name| targets.get(name).ok().cloned());
            let policies = rules.of_image(path, known)?;
            self.jobs.push(Job::Image(root.join(&image.path), image.digest, Box::new(policies)));
        }
        for (name, recorded) in recorded(&dist) {
            self.jobs.push(Job::Recorded(root.join(name), recorded));
        }
        self.used.push((path.to_owned(), None));
        let named = named(&dist);
        let before = self.jobs.len();
        let start = if root == "" { Utf8Path::new(".") } else { &root };
        self.unnamed(start, &named);
        let complete = self.jobs.len() == before;
        if complete {
            self.jobs.push(Job::Done(checked(path, verify::record_verdict(None))));
        }
        Ok(())
    }

    /// Rejects every file below the directory of the release that is not among `named`.
    fn unnamed(&mut self, root: &Utf8Path, named: &BTreeSet<String>) {
        for step in Walk::new(root, DEPTH) {
            let (path, meta) = match step {
                Step::Directory(..) => continue,
                Step::Unreadable(path, error) | Step::NotUtf8(path, error) => {
                    self.refuse(&path, &error);
                    continue;
                }
                Step::Entry(path, meta) => (path, meta),
            };
            let within = path.strip_prefix(root).unwrap_or(&path).as_str();
            let why = match Kind::from(&meta) {
                Kind::Directory => continue,
                Kind::File { .. } if named.contains(within) => continue,
                Kind::File { .. } if within.starts_with(LOGS) && is_text(&path) => {
                    let reason = "a log of the build, which `dist.json` does not name".to_owned();
                    self.not_checked.push(NotChecked { path: path.into_string(), reason });
                    continue;
                }
                Kind::File { .. } => "`dist.json` does not name it",
                Kind::Link => "it is a symbolic link, and a release has only files",
                Kind::Other => "it is neither a file nor a directory",
            };
            self.jobs.push(Job::Done(checked(&path, verify::record_verdict(Some(why)))));
        }
    }
}

/// The origin of targets that come with this program.
pub(super) const BUILT_IN: &str = "built in";

fn checked(path: &Utf8Path, verdict: dist::Verdict) -> Checked {
    Checked { path: path.to_string(), target: None, sha256: None, verdict, facts: Vec::new() }
}

/// Returns whether the file is neither a program, nor a script, nor an archive.
fn is_text(path: &Utf8Path) -> bool {
    fs::read_start(path, START)
        .is_ok_and(|start| matches!(FileKind::of(&start), FileKind::Other("empty" | "no program")))
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
fn recorded(dist: &Dist) -> Vec<(&str, Recorded)> {
    let file = |size, sha256, debug| Recorded { size, sha256, debug, dist: None };
    let mut all = Vec::new();
    for artifact in &dist.artifacts {
        let debug = artifact.debug.iter();
        all.extend(debug.map(|of| (of.path.as_str(), file(of.size, of.sha256, true))));
        let sizes = artifact.attribution.iter();
        all.extend(sizes.map(|of| (of.path.as_str(), file(of.size, of.sha256, false))));
    }
    let companions = dist.companions.iter();
    all.extend(companions.map(|of| (of.path.as_str(), file(of.size, of.sha256, false))));
    for Document { kind, path, size, sha256, .. } in &dist.documents {
        let mut file = file(*size, *sha256, false);
        if *kind == DocumentKind::Checksums && path == crate::ops::package::checksum::SUMS {
            file.dist = Some(Box::new(dist.clone()));
        }
        all.push((path.as_str(), file));
    }
    all
}

fn named_files(dist: &Dist) -> Vec<String> {
    let artifacts = dist.artifacts.iter().map(|of| of.path.clone());
    let archives = dist.archives.iter().map(|of| of.path.clone());
    let others = recorded(dist).into_iter().map(|(path, _)| path.to_owned());
    artifacts.chain(archives).chain(others).collect()
}

/// Returns every file of the release: those that `dist.json` names, itself, and those of its layouts.
fn named(dist: &Dist) -> BTreeSet<String> {
    let mut named: BTreeSet<String> = named_files(dist).into_iter().collect();
    named.insert(FILE.to_owned());
    for image in &dist.images {
        let inner = image.platforms.iter().flat_map(|of| {
            let layers = of.layers.iter().map(|layer| layer.digest);
            [of.manifest, of.config].into_iter().chain(layers)
        });
        let blobs = inner.chain([image.digest]).map(blob_path);
        let own = [LAYOUT_FILE.0.to_owned(), INDEX.to_owned()];
        named.extend(own.into_iter().chain(blobs).map(|file| format!("{}/{file}", image.path)));
    }
    named
}

impl Looker<'_> {
    /// Compares a file with its record in `dist.json`. One that is what it says is not reported.
    pub(super) fn recorded(&self, path: &Utf8Path, of: &Recorded) -> Outcome {
        let why = match self.compare(path, of) {
            Ok(None) => return Outcome::default(),
            Ok(Some(why)) => why,
            Err(error) => error.to_string(),
        };
        Outcome::of(checked(path, verify::record_verdict(Some(&why))))
    }

    fn compare(&self, path: &Utf8Path, of: &Recorded) -> Result<Option<String>> {
        self.cx.children.check()?;
        if !matches!(fs::kind(path, false)?, Kind::File { .. }) {
            return Ok(Some("it is not a regular file".to_owned()));
        }
        let (digest, size) = fs::digest(path)?;
        if (digest, size) != (of.sha256, of.size) {
            return Ok(Some(format!(
                "expected {} bytes with digest `{}`, got {size} bytes with digest `{digest}`",
                of.size, of.sha256
            )));
        }
        if of.debug {
            let file = file::open(path)?;
            let detached = Facts::read(Source::File(&file)).is_ok_and(|facts| facts.detached);
            return Ok((!detached).then(|| "it is not separate debug information".to_owned()));
        }
        if FileKind::of(&fs::read_start(path, START)?).skipped().is_none() {
            return Ok(Some("it is a program, and recorded as something else".to_owned()));
        }
        if let Some(dist) = &of.dist {
            let sums = Checksums::parse(&fs::read(path)?)?;
            return Ok(crate::ops::output::checksums::recorded(dist, &sums)
                .err()
                .map(|error| error.to_string()));
        }
        Ok(None)
    }
}

/// Returns the directory of the release that `path` is, if it is one.
pub(super) fn directory(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let manifest = manifest::named(path)?;
    Some(match manifest.parent() {
        Some(parent) if parent != "" => parent.to_owned(),
        _ => ".".into(),
    })
}
