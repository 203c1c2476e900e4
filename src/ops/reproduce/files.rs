//! The files of a release, compared with its own record.

use std::collections::BTreeSet;

use super::{checked, record::ReleaseRecord};
use crate::{
    image::{
        oci::layout::{INDEX, blob_path},
        read::image,
    },
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        error::Result,
        schema::{
            dist::Image,
            reproduce::{ArtifactKind, Difference},
        },
    },
    ops::image::store::Directory,
    release::reproduce::RecordedItem,
    sys::{
        Context,
        fs::{self, FileType},
    },
};

/// An artifact with a file that does not match its record.
#[derive(Debug)]
pub(super) struct ChangedFile {
    /// The path of the artifact.
    pub(super) path: String,
    /// The digest of the file; `None` if it cannot be read.
    pub(super) digest: Option<Digest>,
    /// The difference.
    pub(super) difference: Difference,
}

/// Returns the artifacts with files beside `dist.json` that do not match it. Files that are not there are
/// left out: a release can be reproduced from its `dist.json` alone.
///
/// # Errors
/// There was an interrupt.
pub(super) fn check(cx: &Context, record: &ReleaseRecord) -> Result<Vec<ChangedFile>> {
    let mut changed = Vec::new();
    let mut compared = 0_usize;
    for item in &record.items {
        cx.children.check()?;
        let found = match item.kind {
            ArtifactKind::Manifest => continue,
            ArtifactKind::Image => check_image(record, item),
            _ => check_file(record, item),
        };
        compared += usize::from(!matches!(found, Ok(None)));
        match found {
            Ok(Some(Some(file))) => changed.push(file),
            Ok(_) => {}
            Err(error) => {
                let note = Some(checked(error).to_string());
                let difference = Difference { note, ..Difference::default() };
                changed.push(ChangedFile { path: item.path.clone(), digest: None, difference });
            }
        }
    }
    if compared > 0 && changed.is_empty() {
        let files = if compared == 1 { "file" } else { "files" };
        cx.status("Checked", format!("{compared} {files} of the release: as `dist.json` has them"));
    }
    Ok(changed)
}

/// Returns the outcome for one file; `None` if it is not there.
fn check_file(record: &ReleaseRecord, item: &RecordedItem) -> Result<Option<Option<ChangedFile>>> {
    let Some(path) = record.file(&item.path) else { return Ok(None) };
    if !matches!(fs::file_type(&path, true)?, FileType::File { .. }) {
        let note = Some("it is not a regular file".to_owned());
        let difference = Difference { note, ..Difference::default() };
        return Ok(Some(Some(ChangedFile { path: item.path.clone(), digest: None, difference })));
    }
    let (digest, size) = fs::digest(&path)?;
    if digest == item.sha256 && item.size.is_none_or(|recorded| recorded == size) {
        return Ok(Some(None));
    }
    let recorded = item.size.map(|recorded| format!("{recorded} bytes, {}", item.sha256));
    let difference = Difference {
        note: Some("the file does not match what `dist.json` records".to_owned()),
        recorded,
        ..Difference::default()
    };
    Ok(Some(Some(ChangedFile { path: item.path.clone(), digest: Some(digest), difference })))
}

/// Returns the outcome for the layout of an image: the name of its first blob that does not match.
fn check_image(record: &ReleaseRecord, item: &RecordedItem) -> Result<Option<Option<ChangedFile>>> {
    let images = record.dist.as_ref().map(|dist| &dist.images[..]).unwrap_or_default();
    let Some(recorded) = images.iter().find(|image| image.path == item.path) else {
        return Ok(None);
    };
    let Some(root) = record.file(&item.path) else { return Ok(None) };
    let change = |file: String, digest, note: &str| {
        let difference =
            Difference { file: Some(file), note: Some(note.to_owned()), ..Difference::default() };
        Ok(Some(Some(ChangedFile { path: item.path.clone(), digest, difference })))
    };
    let found = image::read_images(&Directory(root.clone()));
    for digest in blobs(recorded) {
        let name = blob_path(digest);
        let path = root.join(&name);
        match fs::file_type(&path, false) {
            Ok(FileType::File { .. }) => {}
            Ok(_) => return change(name, None, "it is not a regular file"),
            Err(_) => return change(name, None, "the blob is missing"),
        }
        let (is, _) = fs::digest(&path)?;
        if is != digest {
            return change(name, Some(is), "the blob does not match its name");
        }
    }
    if found?.top != [item.sha256] {
        let note = "it does not point at the recorded digest alone";
        return change(INDEX.to_owned(), None, note);
    }
    Ok(Some(None))
}

/// Returns the digests of the documents and layers of an image.
fn blobs(image: &Image) -> BTreeSet<Digest> {
    let inner = image.platforms.iter().flat_map(|platform| {
        let layers = platform.layers.iter().map(|layer| layer.digest);
        [platform.manifest, platform.config].into_iter().chain(layers)
    });
    inner.chain([image.digest]).collect_set()
}
