//! A finished release: every file that its `dist.json` names, and every file that it does not.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    Rules,
    archived::Archived,
    base,
    find::{Found, Job},
    kind::{FileKind, START},
    look::{Looker, Outcome, refused},
};
use crate::{
    binary::elf::Facts,
    image::oci::layout::{INDEX, MARK, blob_path},
    model::{
        digest::Digest,
        error::{Error, Result},
        schema::{
            Dist,
            dist::{self, Document, DocumentKind},
            verify::{Checked, NotChecked},
        },
        source::Source,
    },
    release::{merge::is_below, signature::Checksums},
    sys::{
        file,
        fs::{self, Kind},
    },
    verify,
};

/// The deepest directory of a release.
const DEPTH: usize = 128;

/// Where the logs of a build are. They differ from run to run, and nothing records them.
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
    /// Adds what the `dist.json` at `path` names, and what lies beside that.
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
        self.unnamed(start, "", &named, 0);
        let complete = self.jobs.len() == before;
        if complete {
            self.jobs.push(Job::Done(checked(path, verify::recorded(None))));
        }
        Ok(())
    }

    /// Rejects every file in `directory`, which is `prefix` of the release, that is not among `named`.
    fn unnamed(
        &mut self,
        directory: &Utf8Path,
        prefix: &str,
        named: &BTreeSet<String>,
        depth: usize,
    ) {
        if depth > DEPTH {
            let why = format!("it is more than {DEPTH} directories deep");
            self.jobs.push(Job::Done(refused(directory.as_str(), &why)));
            return;
        }
        let names = match fs::names(directory) {
            Ok(names) => names,
            Err(error) => return self.refuse(directory, &error),
        };
        for name in names {
            let path = directory.join(&name);
            let within = format!("{prefix}{name}");
            let why = match fs::kind(&path, false) {
                Ok(Kind::Directory) => {
                    self.unnamed(&path, &format!("{within}/"), named, depth + 1);
                    continue;
                }
                Ok(Kind::File { .. }) if named.contains(&within) => continue,
                Ok(Kind::File { .. }) if within.starts_with(LOGS) && is_text(&path) => {
                    let reason = "a log of the build, which `dist.json` does not name".to_owned();
                    self.not_checked.push(NotChecked { path: path.into_string(), reason });
                    continue;
                }
                Ok(Kind::File { .. }) => "`dist.json` does not name it".to_owned(),
                Ok(Kind::Link) => "it is a symbolic link, and a release has only files".to_owned(),
                Ok(Kind::Other) => "it is neither a file nor a directory".to_owned(),
                Err(error) => error.to_string(),
            };
            self.jobs.push(Job::Done(checked(&path, verify::recorded(Some(&why)))));
        }
    }
}

/// The origin of targets that come with this program.
pub(super) const BUILT_IN: &str = "built in";

fn checked(path: &Utf8Path, verdict: dist::Verdict) -> Checked {
    Checked { path: path.to_string(), target: None, sha256: None, verdict, facts: Vec::new() }
}

/// Whether the file is neither a program, nor a script, nor an archive.
fn is_text(path: &Utf8Path) -> bool {
    fs::read_start(path, START)
        .is_ok_and(|start| matches!(FileKind::of(&start), FileKind::Other("empty" | "no program")))
}

/// Reads a release manifest. Each of its paths leads to a file below its directory.
///
/// # Errors
/// It cannot be read, is not a release manifest, or names a path outside.
pub(super) fn read(path: &Utf8Path) -> Result<Dist> {
    let dist = base::read(path)?;
    let bad = |what: String| Error::check(format!("`{path}` is not a release manifest: {what}"));
    let inside = |path: &str| is_below(path) && path != "dist.json" && !path.starts_with(LOGS);
    let layouts = dist.images.iter().map(|image| image.path.clone());
    if let Some(path) = named_files(&dist).into_iter().chain(layouts).find(|path| !inside(path)) {
        return Err(bad(format!("`{}` is outside its directory", path.escape_debug())));
    }
    if dist.artifacts.is_empty() {
        return Err(bad("it has no artifacts".to_owned()));
    }
    Ok(dist)
}

/// The files that are neither binaries nor archives.
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

/// Every file of the release: those that `dist.json` names, itself, and those of its layouts.
fn named(dist: &Dist) -> BTreeSet<String> {
    let mut named: BTreeSet<String> = named_files(dist).into_iter().collect();
    named.insert("dist.json".to_owned());
    for image in &dist.images {
        let inner = image.platforms.iter().flat_map(|of| {
            let layers = of.layers.iter().map(|layer| layer.digest);
            [of.manifest, of.config].into_iter().chain(layers)
        });
        let blobs = inner.chain([image.digest]).map(blob_path);
        let own = [MARK.0.to_owned(), INDEX.to_owned()];
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
        Outcome::of(checked(path, verify::recorded(Some(&why))))
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

/// The directory of the release that `path` is, if it is one.
pub(super) fn directory(path: &Utf8Path) -> Option<Utf8PathBuf> {
    match fs::kind(path, true) {
        Ok(Kind::Directory) if path.join("dist.json").exists() => Some(path.to_owned()),
        Ok(Kind::File { .. }) if path.file_name() == Some("dist.json") => {
            Some(match path.parent() {
                Some(parent) if parent != "" => parent.to_owned(),
                _ => ".".into(),
            })
        }
        _ => None,
    }
}
