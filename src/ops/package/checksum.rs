//! Checksums of downloads, in the format of `sha256sum` (GNU coreutils' manual, "cksum output modes").

use std::collections::BTreeMap;

use camino::Utf8Path;

use crate::{
    model::{
        collect::SortStable as _,
        digest::Digest,
        error::Result,
        schema::{
            Dist,
            dist::{Document, DocumentKind},
        },
    },
    ops::output::stage::Stage,
    sys::fs,
};

/// The directory of archives and documents, in `target/dist`.
pub const DIRECTORY: &str = "archives";
/// The file that has them all.
pub const CHECKSUMS_PATH: &str = "archives/SHA256SUMS";
/// The digests of images, which are not files: attestations use them as their subjects.
pub const DIGESTS_PATH: &str = "archives/digests.txt";

/// A file with checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ops) struct ChecksumText {
    /// The path of the archive that it is about; `None` if it is about several files.
    pub(in crate::ops) subject: Option<String>,
    /// Its path.
    pub(in crate::ops) path: String,
    /// Its content.
    pub(in crate::ops) text: String,
}

/// Writes the checksums of every archive and document, and records them. Signatures are added later.
///
/// # Errors
/// A file cannot be written.
pub(in crate::ops) fn write_checksums(dist: &mut Dist, stage: &Stage) -> Result<()> {
    let texts = texts(dist);
    dist.documents.retain(|document| document.kind != DocumentKind::Checksums);
    for ChecksumText { subject, path, text } in texts {
        let (size, sha256) = (text.len() as u64, Digest::sha256(text.as_bytes()));
        if !stage.reuse(&path, &sha256, size)? {
            fs::write(&stage.path(&path), text.as_bytes())?;
        }
        dist.documents.push(Document {
            kind: DocumentKind::Checksums,
            subject,
            path,
            size,
            sha256,
        });
    }
    dist.documents.sort_stable_by(|a, b| a.path.cmp(&b.path));
    Ok(())
}

/// Returns the checksums of every archive and document of `dist`.
pub(in crate::ops) fn texts(dist: &Dist) -> Vec<ChecksumText> {
    let line = |digest: &Digest, name: &str| format!("{}  {name}\n", digest.hex());
    let mut texts = Vec::new();
    let mut add = |path: String, subject: Option<&str>, text: String| {
        texts.push(ChecksumText { subject: subject.map(str::to_owned), path, text });
    };
    let mut all: BTreeMap<String, Digest> = BTreeMap::new();
    for archive in &dist.archives {
        all.insert(archive.path.clone(), archive.sha256);
        let of_it = |plan: &&crate::model::schema::plan::Archive| {
            plan.package == archive.package && plan.target == archive.target
        };
        if dist.packages.iter().find(of_it).is_some_and(|plan| plan.checksum_files) {
            let text = line(&archive.sha256, file_name(&archive.path));
            let path = format!("{}.sha256", archive.path);
            all.insert(path.clone(), Digest::sha256(text.as_bytes()));
            add(path, Some(&archive.path), text);
        }
    }
    all.extend(dist.channels.iter().map(|channel| (channel.path.clone(), channel.sha256)));
    let others =
        || dist.documents.iter().filter(|document| document.kind != DocumentKind::Checksums);
    all.extend(others().map(|document| (document.path.clone(), document.sha256)));
    let images = dist.images.iter();
    let images: String =
        images.map(|image| line(&image.digest, &format!("{}:{}", image.name, image.tag))).collect();
    if !images.is_empty() {
        all.insert(DIGESTS_PATH.to_owned(), Digest::sha256(images.as_bytes()));
        add(DIGESTS_PATH.to_owned(), None, images);
    }
    // Signatures are of this file, and cannot be in it.
    let signed = |path: &str| {
        dist.documents.iter().any(|document| {
            document.path == path
                && matches!(document.kind, DocumentKind::Minisign | DocumentKind::Sigstore)
        })
    };
    let below = |path: &str| path.starts_with(&format!("{DIRECTORY}/")) && !signed(path);
    let sums: String = all
        .iter()
        .filter(|(path, _)| below(path))
        .map(|(path, digest)| line(digest, file_name(path)))
        .collect();
    if !sums.is_empty() {
        add(CHECKSUMS_PATH.to_owned(), None, sums);
    }
    texts
}

fn file_name(path: &str) -> &str {
    Utf8Path::new(path).file_name().unwrap_or(path)
}
