//! Documents that are attached to an image: OCI image specification 1.1, "Guidelines for Artifact
//! Usage", and OCI distribution specification 1.1, "Pushing Manifests with Subject". The image and its
//! digest stay as they are: what is attached points at it, and not the other way round.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::upload::UploadDocument;
use crate::{
    image::oci::{Descriptor, Document, Manifest, MediaType},
    model::{
        digest::Digest,
        error::{Error, Result},
        json::{Style, to_bytes},
        schema::dist::DocumentKind,
    },
};

/// The configuration of a document without one (manifest.md, "Guidance for an Empty Descriptor").
pub const EMPTY_CONFIG: &[u8] = b"{}";

/// The type of that.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// The annotation with the name of a file (annotations.md).
const TITLE: &str = "org.opencontainers.image.title";

/// A document that is attached to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The type of the document.
    pub kind: &'static str,
    /// The document.
    pub blob: Descriptor,
    /// The empty configuration.
    pub config: Descriptor,
    /// The manifest that contains it and points at the image.
    pub manifest: UploadDocument,
    /// The entry for it in the list.
    descriptor: Value,
}

/// Returns the type of a document in registries; `None` for one that is not for images.
pub fn artifact_type(kind: DocumentKind) -> Option<&'static str> {
    match kind {
        DocumentKind::Provenance => Some("application/vnd.in-toto+json"),
        DocumentKind::Cyclonedx => Some("application/vnd.cyclonedx+json"),
        DocumentKind::Spdx => Some("application/spdx+json"),
        DocumentKind::Checksums | DocumentKind::Minisign | DocumentKind::Sigstore => None,
    }
}

impl Referrer {
    /// Returns the manifest that attaches `bytes`, a file of that name, to `subject`. The same document
    /// and image give the same digest.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn new(
        kind: &'static str,
        name: &str,
        bytes: &[u8],
        subject: &UploadDocument,
    ) -> Result<Self> {
        let describe = |kind: MediaType, bytes: &[u8]| {
            Descriptor::new(kind, Digest::sha256(bytes), bytes.len() as u64)
        };
        let mut blob = describe(kind.into(), bytes);
        blob.annotations.insert(TITLE.to_owned(), name.to_owned());
        let config = describe(EMPTY_TYPE.into(), EMPTY_CONFIG);
        let document = Document::new(Manifest {
            artifact_type: Some(kind.to_owned()),
            subject: Some(describe(subject.media_type.clone(), &subject.bytes)),
            annotations: BTreeMap::from([(TITLE.to_owned(), name.to_owned())]),
            ..Manifest::new(config.clone(), vec![blob.clone()])
        })?;
        let descriptor = json!({
            "mediaType": MediaType::Manifest,
            "digest": document.digest(),
            "size": document.size(),
            "artifactType": kind,
            "annotations": document.annotations,
        });
        let media_type = MediaType::Manifest;
        let (digest, bytes) = (document.digest(), document.bytes().to_vec());
        Ok(Referrer {
            kind,
            blob,
            config,
            manifest: UploadDocument { media_type, digest, bytes },
            descriptor,
        })
    }
}

/// Returns the tag that lists the attachments of an image, if a registry does not ("Referrers Tag
/// Schema").
pub fn tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// Adds these to the list `old`, which may have entries of other programs; returns `None` if they are
/// in it already.
///
/// # Errors
/// The existing document is not an index.
pub fn merge(
    old: Option<&UploadDocument>,
    referrers: &[Referrer],
) -> Result<Option<UploadDocument>> {
    let no_index = || Error::check("the tag of attached documents does not point at an index");
    let mut index = match old {
        None => json!({ "schemaVersion": 2, "mediaType": MediaType::Index, "manifests": [] }),
        Some(part) if part.media_type.is_index() => {
            serde_json::from_slice(&part.bytes).map_err(|_| no_index())?
        }
        Some(_) => return Err(no_index()),
    };
    // Whatever else others wrote there is kept: it is not taken apart into fields that are known here.
    let list = index
        .as_object_mut()
        .map(|fields| fields.entry("manifests").or_insert_with(|| json!([])))
        .and_then(Value::as_array_mut)
        .ok_or_else(no_index)?;
    let before = list.len();
    for referrer in referrers {
        let digest = json!(referrer.manifest.digest);
        if !list.iter().any(|referrer| referrer.get("digest") == Some(&digest)) {
            list.push(referrer.descriptor.clone());
        }
    }
    if list.len() == before {
        return Ok(None);
    }
    let bytes = to_bytes(&index, Style::Indented)?;
    Ok(Some(UploadDocument { media_type: MediaType::Index, digest: Digest::sha256(&bytes), bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> UploadDocument {
        let bytes = b"{}".to_vec();
        UploadDocument { media_type: MediaType::Index, digest: Digest::sha256(&bytes), bytes }
    }

    #[test]
    fn attachments_refer_to_the_image() {
        let referrer =
            Referrer::new("application/spdx+json", "x.spdx.json", b"1", &subject()).unwrap();
        let value: Value = serde_json::from_slice(&referrer.manifest.bytes).unwrap();
        assert_eq!(value["subject"]["digest"], subject().digest.to_string());
        assert_eq!(value["subject"]["size"], 2);
        assert_eq!(value["artifactType"], "application/spdx+json");
        assert_eq!(value["config"]["mediaType"], EMPTY_TYPE);
        // manifest.md has this digest of the empty configuration.
        let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(value["config"]["digest"], empty);
        assert_eq!(value["layers"][0]["size"], 1);
    }

    #[test]
    fn lists_keep_entries_of_other_programs() {
        let new = |bytes: &[u8]| Referrer::new("a/b", "x", bytes, &subject()).unwrap();
        let (one, two) = (new(b"1"), new(b"2"));
        let list = merge(None, std::slice::from_ref(&one)).unwrap().unwrap();
        assert_eq!(merge(Some(&list), std::slice::from_ref(&one)).unwrap(), None);
        let mut value: Value = serde_json::from_slice(&list.bytes).unwrap();
        value["manifests"][0]["data"] = json!("e30=");
        value["annotations"] = json!({ "theirs": "x" });
        let bytes = value.to_string().into_bytes();
        let existing =
            UploadDocument { digest: Digest::sha256(&bytes), media_type: MediaType::Index, bytes };
        let both = merge(Some(&existing), &[one, two.clone()]).unwrap().unwrap();
        let value: Value = serde_json::from_slice(&both.bytes).unwrap();
        assert_eq!(value["manifests"].as_array().unwrap().len(), 2);
        assert_eq!(value["manifests"][0]["data"], "e30=");
        assert_eq!(value["annotations"]["theirs"], "x");
        assert_eq!(value["manifests"][1]["artifactType"], "a/b");
        let image = UploadDocument { media_type: MediaType::Manifest, ..existing };
        assert!(merge(Some(&image), &[two]).is_err());
    }
}
