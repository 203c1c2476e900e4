//! Pushing: OCI distribution specification 1.1, "Push".

use std::{
    cell::RefCell,
    io::{self, Read},
};

use ureq::http::Method;

use super::{
    Access, Blob, BlobOutcome, Repository,
    answer::RegistryResponse,
    call::{Payload, RegistryRequest},
    failure::RequestError,
};
use crate::{
    image::{
        distribution::retry,
        oci::{Descriptor, MediaType, layout::blob_path},
    },
    model::{
        digest::{Digest, Hasher},
        error::{Error, Result},
        url,
    },
};

/// Blobs above this size are sent in chunks, of which a broken connection loses only the last.
const SINGLE_REQUEST_LIMIT: u64 = 64 << 20;

/// The size of the chunks, if the registry does not request larger ones.
const CHUNK_SIZE: u64 = 16 << 20;

/// The largest chunks that a registry may request.
const MAX_CHUNK_SIZE: u64 = 1 << 30;

/// The types that a tag can name; a registry shows only the accepted ones.
pub(super) const ACCEPT: [MediaType; 4] =
    [MediaType::Index, MediaType::Manifest, MediaType::DockerIndex, MediaType::DockerManifest];

impl Repository {
    /// Returns whether the registry has the blob in this repository.
    ///
    /// # Errors
    /// The registry rejects the request, or does not answer.
    pub fn has_blob(&self, digest: Digest) -> Result<bool> {
        let what = format!("ask for the blob `{}` of `{}`", digest.short(), self.path);
        let url = self.retry(|| self.url(&format!("blobs/{digest}")))?;
        let ask = RegistryRequest {
            method: Method::HEAD,
            url,
            headers: vec![],
            access: Access::Push,
            what: &what,
        };
        let answer = self.send_with_retries(&ask, None)?;
        match answer.status() {
            200 | 302 | 303 | 307 | 308 => Ok(true),
            404 => Ok(false),
            _ => Err(self.write_error(&what, answer)),
        }
    }

    /// Returns the digest of the manifest or index of that tag or digest; `None` if there is none.
    ///
    /// # Errors
    /// The registry rejects the request, or does not answer.
    pub fn digest_of(&self, target: &str, push: bool) -> Result<Option<Digest>> {
        let what = format!("ask for `{}`", self.display_target(target));
        let url = self.retry(|| self.url(&format!("manifests/{target}")))?;
        let access = if push { Access::Push } else { Access::Pull };
        let accept = ACCEPT.each_ref().map(MediaType::as_str).join(", ");
        let headers = vec![("accept", accept)];
        let ask = RegistryRequest { method: Method::HEAD, url, headers, access, what: &what };
        let answer = self.send_with_retries(&ask, None)?;
        match answer.status() {
            200 => match answer.digest() {
                Some(digest) => Ok(Some(digest)),
                // Some servers do not say it: then it has to be read.
                None => Ok(self.document(target, access)?.map(|document| document.digest)),
            },
            404 => Ok(None),
            _ => Err(self.write_error(&what, answer)),
        }
    }

    /// Writes a manifest or an index under its digest, or under a tag.
    ///
    /// # Errors
    /// The registry rejects the request, does not answer, or returns a different digest.
    pub fn put(&self, target: &str, kind: &MediaType, bytes: &[u8]) -> Result<()> {
        self.put_referrer(target, kind, bytes).map(|_| ())
    }

    /// Writes like [`Repository::put`]; returns the image that the registry lists it under now, if it
    /// does ("Pushing Manifests with Subject").
    ///
    /// # Errors
    /// As [`Repository::put`].
    pub fn put_referrer(
        &self,
        target: &str,
        kind: &MediaType,
        bytes: &[u8],
    ) -> Result<Option<Digest>> {
        let what = format!("write `{}`", self.display_target(target));
        let url = self.retry(|| self.url(&format!("manifests/{target}")))?;
        let headers = vec![("content-type", kind.to_string())];
        let ask = RegistryRequest {
            method: Method::PUT,
            url,
            headers,
            access: Access::Push,
            what: &what,
        };
        let answer = self.send_with_retries(&ask, Some(bytes))?;
        if !answer.succeeded() {
            return Err(self.write_error(&what, answer));
        }
        match answer.digest() {
            Some(digest) if digest != Digest::sha256(bytes) => {
                Err(self.error(&what, &format!("the registry reports the digest `{digest}`")))
            }
            _ => Ok(answer.header("oci-subject").and_then(|text| text.trim().parse().ok())),
        }
    }

    pub(super) fn write_error(&self, what: &str, answer: RegistryResponse) -> Error {
        self.status_error(what, answer).into_error()
    }

    /// Sends a blob that the repository does not have, or mounts it from one of the repositories `from`
    /// of the same registry.
    ///
    /// # Errors
    /// The blob cannot be read or does not match its digest, or the registry rejects the request or
    /// does not answer.
    pub fn send_blob(&self, blob: &Blob<'_>, from: &[String]) -> Result<BlobOutcome> {
        let what = format!("push the blob `{}` to `{}`", blob.descriptor.digest.short(), self.path);
        // Only if the registry does not support chunks.
        let mut whole = blob.descriptor.size <= SINGLE_REQUEST_LIMIT;
        let mut mounts = from.iter();
        self.retry(|| {
            let uploads = self.url("blobs/uploads/")?;
            let upload = Upload { repository: self, blob, what: &what };
            while let Some(other) = mounts.next() {
                let Some(answer) = upload.mount(&uploads, other)? else { continue };
                if answer.status() == 201 {
                    (blob.sent)(i64::try_from(blob.descriptor.size).unwrap_or(i64::MAX))?;
                    return Ok(BlobOutcome::Mounted(other.clone()));
                }
                // A blob that is not in that repository can be sent to the location in the answer.
                if answer.status() == 202 && mounts.len() == 0 {
                    return upload.resume(&uploads, &answer, &mut whole);
                }
            }
            upload.start(&uploads, &mut whole)
        })
    }
}

/// One blob on its way.
struct Upload<'a, 'b> {
    repository: &'a Repository,
    blob: &'a Blob<'b>,
    what: &'a str,
}

impl Upload<'_, '_> {
    fn request(
        &self,
        method: Method,
        url: String,
        headers: Vec<(&'static str, String)>,
    ) -> RegistryRequest<'_> {
        RegistryRequest { method, url, headers, access: Access::Push, what: self.what }
    }

    fn upload_error(&self, why: &str) -> Error {
        self.repository.error(self.what, why)
    }

    /// Returns the location to continue at: always that of the newest answer.
    fn location(&self, base: &str, answer: &RegistryResponse) -> Result<String, RequestError> {
        let none = || self.upload_error("the registry does not name the `Location` of the upload");
        let location = answer.header("location").ok_or_else(none)?;
        Ok(url::resolve(base, location)
            .map_err(|bad| self.repository.location_error(self.what, bad))?)
    }

    /// Requests that the registry mount a blob from another repository; `None` if that is not possible.
    fn mount(&self, uploads: &str, from: &str) -> Result<Option<RegistryResponse>, RequestError> {
        let url = url::with_parameter(uploads, "mount", &self.blob.descriptor.digest.to_string());
        let url = url::with_parameter(&url, "from", from);
        let access = Access::Mount(from);
        let ask = RegistryRequest { access, ..self.request(Method::POST, url, vec![]) };
        let answer = self.repository.send_once(&ask, Payload::Bytes(&[]));
        self.repository.cx().children.check()?;
        // A client without read access there is rejected: then the blob is sent.
        Ok(answer.ok())
    }

    /// Sends a new upload, from its beginning to its end.
    fn start(&self, uploads: &str, whole: &mut bool) -> Result<BlobOutcome, RequestError> {
        let ask = self.request(Method::POST, uploads.to_owned(), vec![]);
        let answer = self.repository.send_once(&ask, Payload::Bytes(&[]))?;
        if answer.status() != 202 {
            return Err(self.repository.status_error(self.what, answer));
        }
        self.resume(uploads, &answer, whole)
    }

    /// Sends an upload that the registry has begun, to its end.
    fn resume(
        &self,
        uploads: &str,
        answer: &RegistryResponse,
        whole: &mut bool,
    ) -> Result<BlobOutcome, RequestError> {
        let least = answer.header("oci-chunk-min-length").and_then(|text| text.trim().parse().ok());
        let location = self.location(uploads, answer)?;
        match *whole {
            true => self.send_at_once(&location)?,
            false => self.send_chunks(location, least.unwrap_or(0), whole)?,
        }
        Ok(BlobOutcome::Uploaded)
    }

    /// Sends all of it in one request.
    fn send_at_once(&self, location: &str) -> Result<(), RequestError> {
        let Descriptor { digest, size, .. } = *self.blob.descriptor;
        let url = url::with_parameter(location, "digest", &digest.to_string());
        let headers = vec![("content-type", "application/octet-stream".to_owned())];
        let mut stream = CheckedBlob::open(self.blob, 0)?;
        let answer = self.repository.send_once(
            &self.request(Method::PUT, url, headers),
            Payload::Stream(&mut stream, size),
        );
        self.finish(&stream, stream.outcome(answer))
    }

    /// Returns the result of the last answer of an upload. A failed one has to be sent again.
    fn finish(
        &self,
        stream: &CheckedBlob<'_, '_>,
        answer: Result<RegistryResponse, RequestError>,
    ) -> Result<(), RequestError> {
        match answer {
            Ok(answer) if answer.succeeded() => Ok(()),
            Ok(answer) => {
                stream.undo()?;
                Err(self.repository.status_error(self.what, answer))
            }
            Err(trouble) => {
                stream.undo()?;
                Err(trouble)
            }
        }
    }

    /// Sends the blob in chunks. An interrupted chunk resumes at the offset that the registry reports.
    fn send_chunks(
        &self,
        mut location: String,
        least: u64,
        whole: &mut bool,
    ) -> Result<(), RequestError> {
        let Descriptor { digest, size, .. } = *self.blob.descriptor;
        let chunk = CHUNK_SIZE.max(least.min(MAX_CHUNK_SIZE));
        let mut stream = CheckedBlob::open(self.blob, 0)?;
        let (mut tried, mut farthest) = (0, 0);
        while stream.at < size {
            let at = stream.at;
            match self.send_chunk(&location, &mut stream, chunk.min(size - at)) {
                Ok(answer) => {
                    location = self.location(&location, &answer)?;
                    let received = answer.received().filter(|received| *received > at);
                    if received.is_some_and(|received| received < stream.at) {
                        stream.seek_to(received.unwrap_or(at))?;
                    }
                    // Farther than ever: what broke before counts no more.
                    if stream.at > farthest {
                        (farthest, tried) = (stream.at, 0);
                    }
                }
                Err(ChunkError::Unknown(trouble)) => {
                    // A registry that does not accept the first chunk may accept the entire blob.
                    *whole |= at == 0;
                    stream.undo()?;
                    return Err(trouble);
                }
                Err(ChunkError::Broken(trouble)) => {
                    tried += 1;
                    self.repository.pause(tried, trouble)?;
                    let there = self.upload_status(&location);
                    let Ok((newest, at)) = there else {
                        stream.undo()?;
                        let error = self.upload_error("the upload is lost");
                        return Err(RequestError::Again(error, None));
                    };
                    location = newest;
                    stream.seek_to(at.min(size))?;
                }
            }
        }
        let url = url::with_parameter(&location, "digest", &digest.to_string());
        let answer =
            self.repository.send_once(&self.request(Method::PUT, url, vec![]), Payload::Bytes(&[]));
        self.finish(&stream, answer)
    }

    /// Sends one chunk.
    fn send_chunk(
        &self,
        location: &str,
        stream: &mut CheckedBlob<'_, '_>,
        len: u64,
    ) -> Result<RegistryResponse, ChunkError> {
        let at = stream.at;
        let headers = vec![
            ("content-type", "application/octet-stream".to_owned()),
            ("content-range", format!("{at}-{}", at + len - 1)),
        ];
        let ask = self.request(Method::PATCH, location.to_owned(), headers);
        let answer = {
            let mut chunk = stream.by_ref().take(len);
            self.repository.send_once(&ask, Payload::Stream(&mut chunk, len))
        };
        match stream.outcome(answer) {
            Err(RequestError::Final(error)) => Err(ChunkError::Unknown(RequestError::Final(error))),
            Err(trouble) => Err(ChunkError::Broken(trouble)),
            Ok(answer) if matches!(answer.status(), 201 | 202 | 204) => Ok(answer),
            Ok(answer) => {
                let status = answer.status();
                let after = answer.retry_after();
                let trouble = self.repository.status_error(self.what, answer);
                let again =
                    |trouble: RequestError| RequestError::Again(trouble.into_error(), after);
                Err(match status {
                    401 | 416 => ChunkError::Broken(again(trouble)),
                    404 | 405 | 501 => ChunkError::Unknown(again(trouble)),
                    status if retry::is_transient(status) => ChunkError::Broken(trouble),
                    _ => ChunkError::Unknown(trouble),
                })
            }
        }
    }

    /// Returns the location at which to resume an upload, and its offset.
    fn upload_status(&self, location: &str) -> Result<(String, u64), RequestError> {
        let ask = self.request(Method::GET, location.to_owned(), vec![]);
        let answer = self.repository.send_once(&ask, Payload::None)?;
        if !answer.succeeded() {
            return Err(self.repository.status_error(self.what, answer));
        }
        let at = answer.received().unwrap_or(0);
        let newest = self.location(location, &answer).unwrap_or_else(|_| location.to_owned());
        Ok((newest, at))
    }
}

/// The reason for which a chunk was not accepted.
enum ChunkError {
    /// The upload may resume.
    Broken(RequestError),
    /// It cannot continue in chunks.
    Unknown(RequestError),
}

/// A blob that is compared with its digest while it is read: the last bytes are returned only if it
/// matches.
struct CheckedBlob<'a, 'b> {
    blob: &'a Blob<'b>,
    inner: Box<dyn Read + 'b>,
    hasher: Hasher,
    /// The number of bytes that were returned.
    at: u64,
    /// The reason for which reading ended.
    error: RefCell<Option<Error>>,
}

impl<'a, 'b> CheckedBlob<'a, 'b> {
    fn open(blob: &'a Blob<'b>, at: u64) -> Result<Self, RequestError> {
        let inner = (blob.open)()?;
        let error = RefCell::new(None);
        let mut stream = CheckedBlob { blob, inner, hasher: Hasher::default(), at: 0, error };
        let skipped = io::copy(&mut stream.by_ref().take(at), &mut io::sink());
        match (stream.error.take(), skipped) {
            (Some(error), _) => Err(error.into()),
            (None, Err(error)) => Err(stream.unread(error).into()),
            (None, Ok(_)) => Ok(stream),
        }
    }

    /// Continues from `at`, which may be before the bytes that were returned.
    fn seek_to(&mut self, at: u64) -> Result<(), RequestError> {
        self.undo()?;
        *self = Self::open(self.blob, at)?;
        Ok(())
    }

    /// Reports that the bytes returned so far have to be sent again.
    fn undo(&self) -> Result<()> {
        (self.blob.sent)(i64::try_from(self.at).map_or(i64::MIN, |at| -at))
    }

    /// Returns the result of sending it: if reading failed, that error.
    fn outcome(
        &self,
        answer: Result<RegistryResponse, RequestError>,
    ) -> Result<RegistryResponse, RequestError> {
        match (self.error.take(), answer) {
            (Some(error), _) => Err(error.into()),
            (None, Err(trouble)) => Err(trouble),
            (None, answer) => answer,
        }
    }

    fn unread(&self, error: io::Error) -> Error {
        let path = blob_path(self.blob.descriptor.digest);
        Error::check(format!("`{path}` cannot be read")).because(error)
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Descriptor { digest, size, .. } = *self.blob.descriptor;
        let left = size - self.at;
        if left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..most]).map_err(|error| self.unread(error))?;
        let corrupt = || {
            let path = blob_path(digest);
            Error::check(format!("`{path}` is corrupt: expected {size} bytes with that digest"))
                .hint("it is damaged: build it again")
        };
        if count == 0 {
            return Err(corrupt());
        }
        self.hasher.update(&buffer[..count]);
        if left == count as u64 {
            let mut more = [0];
            let ends = self.inner.read(&mut more).map_err(|error| self.unread(error))? == 0;
            if !ends || self.hasher.clone().finish().0 != digest {
                return Err(corrupt());
            }
        }
        (self.blob.sent)(i64::try_from(count).unwrap_or(i64::MAX))?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Read for CheckedBlob<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|error| {
            let reported = io::Error::other("the blob cannot be read");
            self.error.replace(Some(error));
            reported
        })
    }
}
