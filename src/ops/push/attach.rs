//! The documents of a release about an image, attached to it in its registry.

use camino::Utf8Path;

use crate::{
    image::distribution::{
        referrer::{self, EMPTY_CONFIG, Referrer},
        upload::UploadDocument,
    },
    model::{
        digest::Digest,
        error::{Error, Result, Status},
        schema::{
            Dist,
            dist::{DocumentKind, Image},
            push::Attached,
        },
    },
    sys::{
        Context, fs,
        registry::{Blob, Repository},
    },
};

/// The number of times that the list of a registry without its own is written, if others write it, too.
const MAX_TRIES: u32 = 5;

/// The longest document.
const MAX_DOCUMENT: u64 = 256 << 20;

/// A document for an image, compared with its digest.
#[derive(Clone, Debug)]
pub(in crate::ops) struct AttachedDocument {
    kind: &'static str,
    name: String,
    bytes: Vec<u8>,
}

/// Returns the documents of a release about an image: its own, and those of the complete release.
pub(in crate::ops) fn documents(
    root: &Utf8Path,
    dist: &Dist,
    image: &Image,
) -> Result<Vec<AttachedDocument>> {
    let mut found = Vec::new();
    for document in &dist.documents {
        let of_image = document.subject.as_ref() == Some(&image.path);
        let of_all = document.subject.is_none() && document.kind == DocumentKind::Provenance;
        let Some(kind) = referrer::artifact_type(document.kind).filter(|_| of_image || of_all)
        else {
            continue;
        };
        let path = root.join(&document.path);
        let bytes = fs::read_start(&path, MAX_DOCUMENT)?;
        if Digest::sha256(&bytes) != document.sha256 {
            return Err(Error::check(format!("`{path}` does not match `dist.json`")).hint(
                "`cargo longshore dist` makes it again; `--no-attach` pushes the image alone",
            ));
        }
        let name = path.file_name().unwrap_or_default().to_owned();
        found.push(AttachedDocument { kind, name, bytes });
    }
    Ok(found)
}

/// Attaches documents to the image that is `subject`. Existing ones are not sent again.
pub(in crate::ops) fn attach(
    cx: &Context,
    repository: &Repository,
    subject: &UploadDocument,
    documents: &[AttachedDocument],
    dry_run: bool,
) -> Result<Vec<Attached>> {
    let mut attached = Vec::new();
    let mut unlisted = Vec::new();
    for document in documents {
        cx.children.check()?;
        let referrer = Referrer::new(document.kind, &document.name, &document.bytes, subject)?;
        let target = referrer.manifest.digest.to_string();
        let there = repository.digest_of(&target, true)?.is_some();
        attached.push(Attached {
            artifact_type: document.kind.to_owned(),
            name: document.name.clone(),
            digest: referrer.manifest.digest,
            present: there,
        });
        if dry_run {
            continue;
        }
        if !there {
            let blobs = [(&referrer.blob, &document.bytes[..]), (&referrer.config, EMPTY_CONFIG)];
            for (descriptor, bytes) in blobs {
                if !repository.has_blob(descriptor.digest)? {
                    let open = || Ok(Box::new(bytes) as Box<dyn std::io::Read>);
                    let blob = Blob { descriptor, open: &open, sent: &|_| cx.children.check() };
                    repository.send_blob(&blob, &[])?;
                }
            }
        }
        // Written again where it is there, too: only the answer says whether the registry lists it.
        let UploadDocument { media_type, bytes, .. } = &referrer.manifest;
        let listed = repository.put_referrer(&target, media_type, bytes).map_err(|error| {
            let hint = "an old registry may take images alone: `--no-attach` pushes those";
            if error.hint_text().is_some() { error } else { error.hint(hint) }
        })?;
        if listed != Some(subject.digest) {
            unlisted.push(referrer);
        }
    }
    if !unlisted.is_empty() {
        write_list(cx, repository, subject.digest, &unlisted)?;
    }
    if !dry_run && !attached.is_empty() {
        let names: Vec<_> = attached.iter().map(|attachment| attachment.name.as_str()).collect();
        let what = format!("{} to {}@{}", names.join(", "), repository.name(), subject.digest);
        cx.status("Attached", what);
    }
    Ok(attached)
}

/// Writes the list of attachments, which a registry of before 1.1 does not keep itself. Another client
/// may write it at the same time, and no registry can prevent that: it is read again.
fn write_list(
    cx: &Context,
    repository: &Repository,
    subject: Digest,
    referrers: &[Referrer],
) -> Result<()> {
    let tag = referrer::tag(subject);
    for _ in 0..MAX_TRIES {
        cx.children.check()?;
        let old = repository.read(&tag)?;
        let new = referrer::merge(old.as_ref(), referrers).map_err(|error| {
            error
                .context(format!("`{}:{tag}`", repository.name()))
                .with_status(Status::Registry)
                .hint("`--no-attach` leaves it alone")
        })?;
        match new {
            None => return Ok(()),
            Some(part) => repository.put(&tag, &part.media_type, &part.bytes)?,
        }
    }
    let name = format!("{}:{tag}", repository.name());
    Err(Error::new(Status::Registry, format!("`{name}` does not store the list"))
        .hint("do others write it repeatedly? retry when they are done"))
}
