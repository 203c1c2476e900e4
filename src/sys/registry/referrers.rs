//! Documents that are attached to an image: OCI distribution specification 1.1, "Listing Referrers" and
//! "Unavailable Referrers API".

use std::io::Read as _;

use ureq::http::Method;

use super::{
    Access, Repository,
    call::{Payload, RegistryRequest},
};
use crate::{
    image::{
        distribution::referrer,
        oci::{Document, Index, Manifest},
    },
    model::{digest::Digest, error::Result},
};

/// The largest list.
const MAX_LIST: u64 = 4 << 20;

/// The most documents of one kind that are read, and the largest of them.
const MAX_DOCUMENTS: usize = 64;
const MAX_DOCUMENT: u64 = 64 << 20;

impl Repository {
    /// Returns the documents of the type `kind` that are attached to the manifest or index `subject`, each
    /// compared with its digest.
    ///
    /// # Errors
    /// The registry rejects a request, does not answer, or returns other content than it lists.
    pub fn attached(&self, subject: Digest, kind: &str) -> Result<Vec<Vec<u8>>> {
        let Some(index) = self.referrers(subject)? else { return Ok(Vec::new()) };
        let what =
            format!("read what is attached to `{}`", self.display_target(&subject.to_string()));
        let mut documents = Vec::new();
        for listed in index.manifests.iter().take(MAX_LISTED) {
            if documents.len() == MAX_DOCUMENTS {
                break;
            }
            let Some(part) = self.document(&listed.digest.to_string(), Access::Pull)? else {
                continue;
            };
            // The list's own types are optional in lists that clients write.
            let Ok(manifest) = Document::<Manifest>::parse(part.bytes) else { continue };
            let is_of_kind = manifest.artifact_type.as_deref() == Some(kind);
            let is_attached = manifest.subject.as_ref().is_some_and(|it| it.digest == subject);
            let [blob] = &manifest.layers[..] else { continue };
            if !is_of_kind || !is_attached {
                continue;
            }
            if blob.size > MAX_DOCUMENT {
                return Err(self.error(&what, &format!("one has more than {MAX_DOCUMENT} bytes")));
            }
            let bytes = self.retry(|| {
                let mut bytes = Vec::new();
                let stream = self.blob(blob.digest, 0)?;
                stream
                    .take(blob.size.saturating_add(1))
                    .read_to_end(&mut bytes)
                    .map_err(|error| self.connection_error(&what, &error.into()))?;
                Ok(bytes)
            })?;
            if Digest::sha256(&bytes) != blob.digest {
                let why = format!("the blob `{}` is corrupt", blob.digest);
                return Err(self.error(&what, &why));
            }
            documents.push(bytes);
        }
        Ok(documents)
    }

    /// Returns the list of everything that is attached to `subject`: the registry's own, else that of the tag
    /// that clients write.
    fn referrers(&self, subject: Digest) -> Result<Option<Document<Index>>> {
        let what =
            format!("list what is attached to `{}`", self.display_target(&subject.to_string()));
        let url = self.retry(|| self.url(&format!("referrers/{subject}")))?;
        let access = Access::Pull;
        let ask =
            RegistryRequest { method: Method::GET, url, headers: vec![], access, what: &what };
        let listed = self.retry(|| {
            let mut answer = self.send_once(&ask, Payload::None)?;
            match answer.status() {
                200 => {}
                // "A 404 Not Found ... indicates that the registry does not support the referrers API".
                400 | 404 | 405 | 501 => return Ok(None),
                _ => return Err(self.status_error(&what, answer)),
            }
            let bytes = answer
                .read(MAX_LIST)
                .map_err(|error| self.connection_error(&what, &error.into()))?;
            let long = || self.error(&what, &format!("the list has more than {MAX_LIST} bytes"));
            Ok(Some(bytes.ok_or_else(long)?))
        })?;
        let own = listed.and_then(|bytes| Document::<Index>::parse(bytes).ok());
        if own.as_ref().is_some_and(|index| !index.manifests.is_empty()) {
            return Ok(own);
        }
        let tagged = self.document(&referrer::tag(subject), Access::Pull)?;
        Ok(tagged.and_then(|part| Document::<Index>::parse(part.bytes).ok()).or(own))
    }
}

/// The most entries of a list that are read.
const MAX_LISTED: usize = 256;
