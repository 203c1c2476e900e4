//! Pulling: OCI distribution specification 1.1, "Pull". An image in a registry is read as if it were
//! a layout.

use std::{
    collections::HashMap,
    io::{self, Cursor, Read},
    sync::{Arc, Mutex},
};

use ureq::http::Method;

use super::{
    Access, Repository, ResponseLimits, Session,
    call::{Payload, RegistryRequest},
    failure::RequestError,
    lock,
    push::ACCEPT,
};
use crate::{
    image::{
        distribution::upload::UploadDocument,
        oci::{
            Descriptor, Document, Index, Manifest, MediaType,
            layout::{self, INDEX, ImageName, LAYOUT_FILE},
        },
        read::image::Store,
    },
    model::{
        digest::{Digest, Hasher},
        error::{Error, Result, Status},
        reference::Reference,
    },
    sys::clock::Stopwatch,
};

/// The largest manifest or index (OCI distribution specification 1.1, "Pushing Manifests").
const MAX_DOCUMENT: u64 = 4 << 20;

/// The most bytes of manifests and indexes that are kept.
const MAX_CACHED: usize = 64 << 20;

/// After so many bytes a download counts as one that works.
const PROGRESS: u64 = 16 << 10;

impl Repository {
    /// Returns the manifest or index of that tag or digest, with the permissions of a push; `None` if
    /// there is none.
    ///
    /// # Errors
    /// The registry rejects the request, or does not answer.
    pub fn read(&self, target: &str) -> Result<Option<UploadDocument>> {
        self.document(target, Access::Push)
    }

    /// Returns the manifest or index of that tag or digest, complete and compared with its digest;
    /// `None` if there is none.
    pub(super) fn document(
        &self,
        target: &str,
        access: Access<'_>,
    ) -> Result<Option<UploadDocument>> {
        let what = format!("get `{}`", self.display_target(target));
        let url = self.retry(|| self.url(&format!("manifests/{target}")))?;
        let accept = ACCEPT.each_ref().map(MediaType::as_str).join(", ");
        let headers = vec![("accept", accept)];
        let ask = RegistryRequest { method: Method::GET, url, headers, access, what: &what };
        self.retry(|| {
            let mut answer = self.send_once(&ask, Payload::None)?;
            match answer.status() {
                200 => {}
                404 => return Ok(None),
                _ => return Err(self.status_error(&what, answer)),
            }
            let kind = answer
                .header("content-type")
                .map(|kind| MediaType::from(kind.split(';').next().unwrap_or_default().trim()));
            let output_text = target.parse::<Digest>().ok().or(answer.digest());
            let bytes = answer
                .read(MAX_DOCUMENT)
                .map_err(|error| self.connection_error(&what, &error.into()))?;
            let long = || {
                Error::check(format!(
                    "`{}` has more than {MAX_DOCUMENT} bytes",
                    self.display_target(target)
                ))
            };
            let bytes = bytes.ok_or_else(long)?;
            let digest = Digest::sha256(&bytes);
            if output_text.is_some_and(|output_text| output_text != digest) {
                let message = format!(
                    "`{}` is corrupt: it has the digest `{digest}`",
                    self.display_target(target)
                );
                return Err(Error::check(message)
                    .hint("a proxy between here and the registry modifies its responses")
                    .into());
            }
            let media_type = media_type(kind, &bytes);
            Ok(Some(UploadDocument { media_type, digest, bytes }))
        })
    }

    /// Returns the rest of a blob from `at` on.
    pub(super) fn blob(
        &self,
        digest: Digest,
        at: u64,
    ) -> Result<Box<dyn Read + Send + 'static>, RequestError> {
        let what = format!("get the blob `{}` of `{}`", digest.short(), self.path);
        let url = self.url(&format!("blobs/{digest}"))?;
        let headers = if at > 0 { vec![("range", format!("bytes={at}-"))] } else { Vec::new() };
        let ask = RegistryRequest {
            method: Method::GET,
            url,
            headers,
            access: Access::Pull,
            what: &what,
        };
        let answer = self.send_once(&ask, Payload::None)?;
        match answer.status() {
            206 if at > 0 => Ok(Box::new(answer.into_reader())),
            200 => {
                let mut reader = answer.into_reader();
                // It does not know of ranges: all of it comes again.
                let skipped = io::copy(&mut reader.by_ref().take(at), &mut io::sink());
                skipped.map_err(|error| self.connection_error(&what, &error.into()))?;
                Ok(Box::new(reader))
            }
            _ => Err(self.status_error(&what, answer)),
        }
    }
}

/// Returns the type of a document: that of the registry if it is a known type, else the one that the
/// document declares.
fn media_type(kind: Option<MediaType>, bytes: &[u8]) -> MediaType {
    if let Some(kind) = kind.filter(|kind| kind.is_index() || kind.is_manifest()) {
        return kind;
    }
    MediaType::detect(bytes)
}

/// An image, or an index, in a registry, as a store.
#[derive(Debug)]
pub struct Remote {
    repository: Repository,
    root: UploadDocument,
    /// The equivalent of the `index.json` of a layout.
    index: Vec<u8>,
    /// The known documents and blobs, from the documents that point at them: whether it is a manifest
    /// or an index, and its size.
    known: Mutex<HashMap<Digest, (bool, u64)>>,
    documents: Mutex<HashMap<Digest, Arc<[u8]>>>,
    /// The reason for which the registry did not return an object.
    failure: Mutex<Option<Error>>,
}

impl Remote {
    /// Finds what a reference stands for.
    ///
    /// # Errors
    /// The registry does not have it, rejects the request or does not answer; or its object is not an
    /// image.
    pub fn open(session: &Arc<Session>, reference: &Reference) -> Result<Self> {
        let repository = session.repository(reference)?;
        let root = repository.document(&reference.target(), Access::Pull)?;
        let root = root.ok_or_else(|| {
            let host = repository.host().to_owned();
            let message =
                format!("`{host}` has no `{}`", repository.display_target(&reference.target()));
            Error::new(Status::Registry, message)
                .hint(format!("are name and tag right? `docker login {host}` may show more"))
        })?;
        let mut descriptor =
            Descriptor::new(root.media_type.clone(), root.digest, root.bytes.len() as u64);
        descriptor.annotations.clear();
        let tag = match (&reference.tag, &reference.digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.clone(),
        };
        let image = tag.as_ref().map(|tag| format!("{}:{tag}", reference.name()));
        let name = tag.as_deref().map(|tag| ImageName { tag, image: image.as_deref() });
        let index = layout::index(descriptor, name)?;
        let remote = Remote {
            repository,
            index,
            known: Mutex::new(HashMap::from([(root.digest, (true, root.bytes.len() as u64))])),
            documents: Mutex::default(),
            failure: Mutex::default(),
            root,
        };
        remote.record_links(&remote.root.bytes);
        Ok(remote)
    }

    /// Returns the digest that the reference resolves to.
    pub fn digest(&self) -> Digest {
        self.root.digest
    }

    /// Returns the type of that document.
    pub fn media_type(&self) -> MediaType {
        self.root.media_type.clone()
    }

    /// Returns the size of that document in bytes.
    pub fn size(&self) -> u64 {
        self.root.bytes.len() as u64
    }

    /// Returns the error of the registry, if there was one. The reader of a stream sees only that it
    /// broke.
    pub fn failure(&self) -> Option<Error> {
        lock(&self.failure).take()
    }

    /// Takes note of what a document points at.
    fn record_links(&self, bytes: &[u8]) {
        let mut known = lock(&self.known);
        if let Ok(index) = Document::<Index>::parse(bytes.to_vec()) {
            for inner in &index.manifests {
                known.entry(inner.digest).or_insert((true, inner.size));
            }
        } else if let Ok(manifest) = Document::<Manifest>::parse(bytes.to_vec()) {
            for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
                known.entry(blob.digest).or_insert((false, blob.size));
            }
        }
    }

    /// Keeps the error, for the reader of a stream.
    fn record_error(&self, error: Error) -> Error {
        let reported = error.duplicate();
        lock(&self.failure).get_or_insert(error);
        reported
    }

    fn read_small(&self, digest: Digest) -> Result<Option<Arc<[u8]>>> {
        if digest == self.root.digest {
            return Ok(Some(self.root.bytes.clone().into()));
        }
        if let Some(bytes) = lock(&self.documents).get(&digest) {
            return Ok(Some(bytes.clone()));
        }
        let part = self.repository.document(&digest.to_string(), Access::Pull);
        let Some(part) = part.map_err(|error| self.record_error(error))? else {
            return Ok(None);
        };
        self.record_links(&part.bytes);
        let bytes: Arc<[u8]> = part.bytes.into();
        let mut documents = lock(&self.documents);
        let kept: usize = documents.values().map(|bytes| bytes.len()).sum();
        if kept.saturating_add(bytes.len()) <= MAX_CACHED {
            documents.insert(digest, bytes.clone());
        }
        Ok(Some(bytes))
    }
}

impl Store for Remote {
    fn noun(&self) -> &'static str {
        "registry"
    }

    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>> {
        if path == LAYOUT_FILE.0 {
            return Ok(Some(Box::new(LAYOUT_FILE.1)));
        }
        if path == INDEX {
            return Ok(Some(Box::new(&self.index[..])));
        }
        let hex = path.strip_prefix("blobs/sha256/").unwrap_or_default();
        let Ok(digest) = format!("sha256:{hex}").parse::<Digest>() else {
            return Ok(None);
        };
        let known = lock(&self.known).get(&digest).copied();
        match known {
            None => Ok(None),
            Some((true, _)) => {
                let bytes = self.read_small(digest)?;
                Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read>))
            }
            Some((false, size)) => Ok(Some(Box::new(BlobDownload {
                remote: self,
                digest,
                size,
                at: 0,
                hasher: Hasher::default(),
                stream: None,
                tried: 0,
                clock: Stopwatch::start(),
                count: 0,
            }))),
        }
    }
}

/// A blob that is being downloaded. It resumes at the offset at which it broke.
struct BlobDownload<'a> {
    remote: &'a Remote,
    digest: Digest,
    size: u64,
    at: u64,
    hasher: Hasher,
    stream: Option<Box<dyn Read + Send>>,
    tried: u32,
    /// The time at which the stream was opened, and the bytes that came since then.
    clock: Stopwatch,
    count: u64,
}

impl BlobDownload<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        loop {
            let repository = &self.remote.repository;
            repository.cx().children.check()?;
            let what =
                || format!("get the blob `{}` of `{}`", self.digest.short(), repository.path);
            let trouble = match &mut self.stream {
                None => match repository.blob(self.digest, self.at) {
                    Ok(stream) => {
                        self.stream = Some(stream);
                        (self.clock, self.count) = (Stopwatch::start(), 0);
                        continue;
                    }
                    Err(trouble) => trouble,
                },
                Some(stream) => match stream.read(&mut buffer[..most]) {
                    Ok(0) => {
                        RequestError::Again(repository.error(&what(), "it was cut short"), None)
                    }
                    Ok(count) => {
                        self.count += count as u64;
                        // Earlier failures do not count any more, unless it always breaks after a few
                        // bytes.
                        let rate =
                            ResponseLimits::LEAST as f64 * self.clock.elapsed().as_secs_f64();
                        if self.count >= PROGRESS && self.count as f64 >= rate {
                            self.tried = 0;
                        }
                        return self.accept(&buffer[..count]);
                    }
                    Err(error) => repository.connection_error(&what(), &error.into()),
                },
            };
            self.stream = None;
            self.tried += 1;
            repository.pause(self.tried, trouble)?;
        }
    }

    /// Counts and hashes what came. The last bytes are given only when all are right.
    fn accept(&mut self, bytes: &[u8]) -> Result<usize> {
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
        let is = if self.at == self.size { self.hasher.clone().finish().0 } else { self.digest };
        if is != self.digest {
            let name = self.remote.repository.name();
            let message = format!(
                "the blob `{}` of `{name}` is corrupt: it has the digest `{is}`",
                self.digest
            );
            return Err(Error::check(message)
                .hint("a proxy between here and the registry modifies its responses"));
        }
        Ok(bytes.len())
    }
}

impl Read for BlobDownload<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|error| io::Error::other(self.remote.record_error(error)))
    }
}
