//! The record of a release: its `dist.json`, or the provenance that is attached to an image.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::{SharedSession, missing_error};
use crate::{
    image::read::image,
    model::{
        digest::Digest,
        error::{Error, Result},
        reference::Reference,
        schema::{
            Dist,
            dist::{DocumentKind, FILE, Release},
            reproduce::ArtifactKind,
        },
        url,
    },
    ops::{image::store, output::manifest},
    release::reproduce::{RecordedItem, items, provenance},
    sys::{
        Context, file,
        fs::{self, FileType, TempDir},
        registry::Remote,
    },
};

/// The largest `dist.json` that is downloaded.
const MAX_MANIFEST: u64 = 64 << 20;

/// The largest file that is downloaded.
const MAX_FILE: u64 = 8 << 30;

/// The most artifacts of a release at a URL.
const MAX_ITEMS: usize = 4096;

/// A release, according to its own record.
#[derive(Debug)]
pub(super) struct ReleaseRecord {
    /// The release, as it was given.
    pub(super) shown: String,
    /// Name, source, tools and request.
    pub(super) release: Release,
    /// The targets in their order.
    pub(super) targets: Vec<String>,
    /// Whether symbols and line numbers were kept.
    pub(super) debug_files: bool,
    /// Whether images and archives were made.
    pub(super) pack: bool,
    /// The artifacts.
    pub(super) items: Vec<RecordedItem>,
    /// The `dist.json`; `None` for an image.
    pub(super) dist: Option<Dist>,
    /// The directory with its files; `None` for an image.
    pub(super) files: Option<Utf8PathBuf>,
    /// The image, by its digest.
    pub(super) image: Option<String>,
    /// The provenances that are attached to the image.
    pub(super) provenances: Vec<Vec<u8>>,
    /// The directory of downloaded files.
    pub(super) _downloads: Option<TempDir>,
}

/// Reads the record of the release `text`. An existing path has precedence.
///
/// # Errors
/// There is no such release, or it cannot be read.
pub(super) fn read(cx: &Context, session: &SharedSession, text: &str) -> Result<ReleaseRecord> {
    let path = cx.env.dir.join(text);
    match fs::file_type(&path, true) {
        Ok(FileType::Directory) => {
            let manifest = manifest::manifest_path(&path)
                .ok_or_else(|| manifest::missing_error(&Utf8Path::new(text).join(FILE)))?;
            return from_manifest(text, &manifest, None);
        }
        Ok(_) => return from_manifest(text, &path, None),
        Err(_) => {}
    }
    if text.starts_with("https://") || text.starts_with("http://") {
        return from_url(cx, session, text);
    }
    if store::is_reference(text) {
        return from_image(cx, session, text);
    }
    Err(missing_error(text))
}

fn from_manifest(text: &str, path: &Utf8Path, downloads: Option<TempDir>) -> Result<ReleaseRecord> {
    let dist = manifest::read(path)?;
    let mut targets: Vec<String> = Vec::new();
    for artifact in &dist.artifacts {
        if !targets.contains(&artifact.target) {
            targets.push(artifact.target.clone());
        }
    }
    Ok(ReleaseRecord {
        shown: text.split(['?', '#']).next().unwrap_or(text).to_owned(),
        release: dist.release.clone(),
        targets,
        debug_files: dist.artifacts.iter().any(|artifact| artifact.debug.is_some()),
        pack: !(dist.images.is_empty() && dist.archives.is_empty() && dist.documents.is_empty()),
        items: items(&dist),
        files: path.parent().map(Utf8Path::to_owned),
        dist: Some(dist),
        image: None,
        provenances: Vec::new(),
        _downloads: downloads,
    })
}

/// Downloads `dist.json`, and the files that are published beside it: below their paths, as in a directory
/// of `dist`, or under their names alone, as in a release of a forge.
fn from_url(cx: &Context, session: &SharedSession, text: &str) -> Result<ReleaseRecord> {
    let (address, query) = match text.split_once(['?', '#']) {
        Some((address, _)) => (address, text.get(address.len()..).unwrap_or_default()),
        None => (text, ""),
    };
    let (base, manifest) = match address.rsplit_once('/') {
        Some((base, FILE)) => (base.to_owned(), text.to_owned()),
        _ => {
            let base = address.trim_end_matches('/');
            (base.to_owned(), format!("{base}/{FILE}{query}"))
        }
    };
    let shown = manifest.split(['?', '#']).next().unwrap_or_default();
    cx.status("Downloading", shown);
    let bytes = session.download(&manifest, MAX_MANIFEST + 1)?;
    let bytes = bytes.ok_or_else(|| {
        Error::check(format!("there is no `{shown}`"))
            .hint("name the URL of a `dist.json`, or of the directory that it is in")
    })?;
    let downloads = TempDir::new("longshore-release")?;
    let path = downloads.path.join(FILE);
    fs::write(&path, &bytes)?;
    let root = downloads.path.clone();
    let record = from_manifest(text, &path, Some(downloads))
        .map_err(|error| error.context(format!("`{shown}`")))?;
    if record.items.len() > MAX_ITEMS {
        return Err(Error::check(format!(
            "`{shown}` records {} artifacts, expected at most {MAX_ITEMS}",
            record.items.len()
        )));
    }
    let files = record.items.iter().filter(|item| is_file(item.kind));
    let mut count = 0;
    for item in files {
        count += usize::from(download(cx, session, &base, item, &root)?);
    }
    cx.status("Downloaded", format!("{count} files of the release"));
    Ok(record)
}

/// Returns whether an artifact of that kind is one file.
pub(super) fn is_file(kind: ArtifactKind) -> bool {
    !matches!(kind, ArtifactKind::Image | ArtifactKind::Manifest)
}

/// Downloads one file of a release; returns whether it is published.
fn download(
    cx: &Context,
    session: &SharedSession,
    base: &str,
    item: &RecordedItem,
    root: &Utf8Path,
) -> Result<bool> {
    let encoded = item.path.split('/').map(url::encode).collect::<Vec<_>>().join("/");
    let name = encoded.rsplit('/').next().unwrap_or_default().to_owned();
    let to = root.join(&item.path);
    let parent = to.parent().unwrap_or(root);
    fs::create_dir_all(parent)?;
    if item.size.is_some_and(|size| size > MAX_FILE) {
        let path = item.path.escape_debug();
        return Err(Error::check(format!("`{path}` has more than {MAX_FILE} bytes"))
            .hint("download the release, and name its directory"));
    }
    // One byte more than it should have, so that a longer file is not equal to its beginning.
    let limit = item.size.unwrap_or(0).saturating_add(1);
    for path in [encoded, name] {
        cx.children.check()?;
        let mut draft = crate::sys::temporary::draft(parent)?;
        if session.download_file(&format!("{base}/{path}"), limit, &mut draft)? {
            draft.persist(&to)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads the provenances that are attached to an image in a registry.
fn from_image(cx: &Context, session: &SharedSession, text: &str) -> Result<ReleaseRecord> {
    let reference = store::parse_reference(text)?;
    let remote = Remote::open(session, &reference)?;
    let root = remote.digest();
    let found = image::read_images(&remote).map_err(|error| remote.failure().unwrap_or(error))?;
    let kind = "application/vnd.in-toto+json";
    cx.status("Reading", format!("the provenance of {}@{root}", reference.name()));
    let attached = session.repository(&reference)?.attached(root, kind)?;
    let mut records = Vec::new();
    let mut reason = None;
    for bytes in &attached {
        match provenance::read(bytes) {
            Ok(record) => records.push(record),
            Err(error) => reason = Some(error),
        }
    }
    let mut records = records.into_iter();
    let Some(mut first) = records.next() else {
        let error = Error::check(format!("`{text}` has no provenance of longshore attached"));
        let error = match reason {
            Some(reason) => error.because(reason.to_string()),
            None => error,
        };
        return Err(error.hint(
            "`cargo longshore push` attaches it; the `dist.json` of the release can be named instead",
        ));
    };
    // The parts of a merged release have one each.
    for other in records {
        if other.release.revision != first.release.revision {
            let message = format!("`{text}` has provenances of different commits");
            return Err(Error::check(message).hint("name the `dist.json` of the release instead"));
        }
        for target in other.targets {
            if !first.targets.contains(&target) {
                first.targets.push(target);
            }
        }
        first.subjects.extend(other.subjects);
    }
    let images = image_items(&reference, root, &found, &first.subjects);
    let mut release = first.release;
    if release.name.is_empty() {
        release.name = reference.repository.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let files = first.subjects.into_iter().filter(|(name, _)| !name.starts_with("image/"));
    let files = files.map(|(path, sha256)| RecordedItem {
        kind: ArtifactKind::File,
        path,
        platform: None,
        sha256,
        size: None,
    });
    let items: Vec<RecordedItem> = files.chain(images).collect();
    Ok(ReleaseRecord {
        shown: text.to_owned(),
        release,
        targets: first.targets,
        debug_files: items.iter().any(|item| item.path.contains("/debug/")),
        pack: first.packed,
        items,
        dist: None,
        files: None,
        image: Some(format!("docker://{}@{root}", reference.name())),
        provenances: attached,
        _downloads: None,
    })
}

/// Returns the image in the registry, and its manifests, with the names that they have in the release.
fn image_items(
    reference: &Reference,
    root: Digest,
    found: &image::Images,
    subjects: &BTreeMap<String, Digest>,
) -> Vec<RecordedItem> {
    let named = || subjects.iter().filter(|(name, _)| name.starts_with("image/"));
    let name = named().find(|(_, digest)| **digest == root).map(|(name, _)| name.clone());
    let last = reference.repository.rsplit('/').next().unwrap_or_default();
    let name = name.unwrap_or_else(|| {
        let mut tops = named().map(|(name, _)| name).filter(|name| !name.contains('@'));
        match (tops.next(), tops.next()) {
            (Some(only), None) => only.clone(),
            _ => format!("image/{last}"),
        }
    });
    let manifests: Vec<_> = found
        .images
        .iter()
        .filter_map(|image| Some((image.platform.clone(), image.manifest.as_ref()?.digest)))
        .collect();
    let only = match &manifests[..] {
        [(platform, digest)] if *digest == root => Some(platform.clone()),
        _ => None,
    };
    let item =
        |kind, path, platform, sha256| RecordedItem { kind, path, platform, sha256, size: None };
    let mut all = vec![item(ArtifactKind::Image, name.clone(), only, root)];
    for (platform, digest) in manifests.into_iter().filter(|(_, digest)| *digest != root) {
        let path = format!("{name}@{platform}");
        all.push(item(ArtifactKind::Manifest, path, Some(platform), digest));
    }
    all
}

impl ReleaseRecord {
    /// Returns the path of the release's own file for an artifact, if it is there.
    pub(super) fn file(&self, path: &str) -> Option<Utf8PathBuf> {
        let location = self.files.as_ref()?.join(path);
        matches!(fs::file_type(&location, true), Ok(FileType::File { .. } | FileType::Directory))
            .then_some(location)
    }

    /// Returns the content of the recorded provenance, if it is there.
    pub(super) fn provenance(&self) -> Option<Vec<u8>> {
        if let [bytes] = &self.provenances[..] {
            return Some(bytes.clone());
        }
        let documents = self.dist.as_ref()?.documents.iter();
        let mut all = documents.filter(|document| document.kind == DocumentKind::Provenance);
        let path = match (all.next(), all.next()) {
            (Some(only), None) => self.file(&only.path)?,
            _ => return None,
        };
        file::open(&path).ok()?;
        fs::read_start(&path, MAX_MANIFEST).ok()
    }
}
