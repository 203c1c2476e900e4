//! Pushing: OCI distribution specification 1.1, "Push".

use std::{
    cell::RefCell,
    io::{self, Read},
};

use ureq::http::Method;

use super::{
    Access, Blob, Repository, Sent,
    answer::Answer,
    call::{Ask, Payload},
    failure::Trouble,
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
const WHOLE: u64 = 64 << 20;

/// The size of the chunks, if the registry does not request larger ones.
const PIECE: u64 = 16 << 20;

/// The largest chunks that a registry may request.
const LARGEST: u64 = 1 << 30;

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
        let url = self.again(|| self.url(&format!("blobs/{digest}")))?;
        let ask =
            Ask { method: Method::HEAD, url, headers: vec![], access: Access::Push, what: &what };
        let answer = self.ask(&ask, None)?;
        match answer.status() {
            200 | 302 | 303 | 307 | 308 => Ok(true),
            404 => Ok(false),
            _ => Err(self.registry_error(&what, answer)),
        }
    }

    /// Returns the digest of the manifest or index of that tag or digest; `None` if there is none.
    ///
    /// # Errors
    /// The registry rejects the request, or does not answer.
    pub fn digest_of(&self, target: &str, push: bool) -> Result<Option<Digest>> {
        let what = format!("ask for `{}`", self.at(target));
        let url = self.again(|| self.url(&format!("manifests/{target}")))?;
        let access = if push { Access::Push } else { Access::Pull };
        let accept = ACCEPT.each_ref().map(MediaType::as_str).join(", ");
        let headers = vec![("accept", accept)];
        let ask = Ask { method: Method::HEAD, url, headers, access, what: &what };
        let answer = self.ask(&ask, None)?;
        match answer.status() {
            200 => match answer.digest() {
                Some(digest) => Ok(Some(digest)),
                // Some servers do not say it: then it has to be read.
                None => Ok(self.document(target, access)?.map(|document| document.digest)),
            },
            404 => Ok(None),
            _ => Err(self.registry_error(&what, answer)),
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
        let what = format!("write `{}`", self.at(target));
        let url = self.again(|| self.url(&format!("manifests/{target}")))?;
        let headers = vec![("content-type", kind.to_string())];
        let ask = Ask { method: Method::PUT, url, headers, access: Access::Push, what: &what };
        let answer = self.ask(&ask, Some(bytes))?;
        if !answer.succeeded() {
            return Err(self.registry_error(&what, answer));
        }
        match answer.digest() {
            Some(digest) if digest != Digest::sha256(bytes) => {
                Err(self.error(&what, &format!("the registry made `{digest}` of it")))
            }
            _ => Ok(answer.header("oci-subject").and_then(|text| text.trim().parse().ok())),
        }
    }

    pub(super) fn registry_error(&self, what: &str, answer: Answer) -> Error {
        self.refused(what, answer).into_error()
    }

    /// Sends a blob that the repository does not have, or mounts it from one of the repositories `from`
    /// of the same registry.
    ///
    /// # Errors
    /// The blob cannot be read or does not match its digest, or the registry rejects the request or
    /// does not answer.
    pub fn send_blob(&self, blob: &Blob<'_>, from: &[String]) -> Result<Sent> {
        let what = format!("push the blob `{}` to `{}`", blob.descriptor.digest.short(), self.path);
        // Only if the registry does not support chunks.
        let mut whole = blob.descriptor.size <= WHOLE;
        let mut mounts = from.iter();
        self.again(|| {
            let uploads = self.url("blobs/uploads/")?;
            let upload = Upload { repository: self, blob, what: &what };
            while let Some(other) = mounts.next() {
                let Some(answer) = upload.mount(&uploads, other)? else { continue };
                if answer.status() == 201 {
                    (blob.sent)(i64::try_from(blob.descriptor.size).unwrap_or(i64::MAX))?;
                    return Ok(Sent::Mounted(other.clone()));
                }
                // A blob that is not in that repository can be sent to the location in the answer.
                if answer.status() == 202 && mounts.len() == 0 {
                    return upload.go_on(&uploads, &answer, &mut whole);
                }
            }
            upload.begin(&uploads, &mut whole)
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
    fn ask(&self, method: Method, url: String, headers: Vec<(&'static str, String)>) -> Ask<'_> {
        Ask { method, url, headers, access: Access::Push, what: self.what }
    }

    fn bad(&self, why: &str) -> Error {
        self.repository.error(self.what, why)
    }

    /// Returns the location to continue at: always that of the newest answer.
    fn location(&self, base: &str, answer: &Answer) -> Result<String, Trouble> {
        let none = || self.bad("the registry does not name the `Location` of the upload");
        let location = answer.header("location").ok_or_else(none)?;
        Ok(url::resolve(base, location).map_err(|bad| self.repository.misled(self.what, bad))?)
    }

    /// Requests that the registry mount a blob from another repository; `None` if that is not possible.
    fn mount(&self, uploads: &str, from: &str) -> Result<Option<Answer>, Trouble> {
        let url = url::with_parameter(uploads, "mount", &self.blob.descriptor.digest.to_string());
        let url = url::with_parameter(&url, "from", from);
        let access = Access::Mount(from);
        let ask = Ask { access, ..self.ask(Method::POST, url, vec![]) };
        let answer = self.repository.once(&ask, Payload::Bytes(&[]));
        self.repository.cx().children.check()?;
        // A client without read access there is rejected: then the blob is sent.
        Ok(answer.ok())
    }

    /// Sends a new upload, from its beginning to its end.
    fn begin(&self, uploads: &str, whole: &mut bool) -> Result<Sent, Trouble> {
        let ask = self.ask(Method::POST, uploads.to_owned(), vec![]);
        let answer = self.repository.once(&ask, Payload::Bytes(&[]))?;
        if answer.status() != 202 {
            return Err(self.repository.refused(self.what, answer));
        }
        self.go_on(uploads, &answer, whole)
    }

    /// Sends an upload that the registry has begun, to its end.
    fn go_on(&self, uploads: &str, answer: &Answer, whole: &mut bool) -> Result<Sent, Trouble> {
        let least = answer.header("oci-chunk-min-length").and_then(|text| text.trim().parse().ok());
        let location = self.location(uploads, answer)?;
        match *whole {
            true => self.whole(&location)?,
            false => self.pieces(location, least.unwrap_or(0), whole)?,
        }
        Ok(Sent::Uploaded)
    }

    /// Sends all of it in one request.
    fn whole(&self, location: &str) -> Result<(), Trouble> {
        let Descriptor { digest, size, .. } = *self.blob.descriptor;
        let url = url::with_parameter(location, "digest", &digest.to_string());
        let headers = vec![("content-type", "application/octet-stream".to_owned())];
        let mut stream = Checked::open(self.blob, 0)?;
        let answer = self
            .repository
            .once(&self.ask(Method::PUT, url, headers), Payload::Stream(&mut stream, size));
        self.end(&stream, stream.outcome(answer))
    }

    /// Returns the result of the last answer of an upload. A failed one has to be sent again.
    fn end(
        &self,
        stream: &Checked<'_, '_>,
        answer: Result<Answer, Trouble>,
    ) -> Result<(), Trouble> {
        match answer {
            Ok(answer) if answer.succeeded() => Ok(()),
            Ok(answer) => {
                stream.undo()?;
                Err(self.repository.refused(self.what, answer))
            }
            Err(trouble) => {
                stream.undo()?;
                Err(trouble)
            }
        }
    }

    /// Sends the blob in chunks. An interrupted chunk resumes at the offset that the registry reports.
    fn pieces(&self, mut location: String, least: u64, whole: &mut bool) -> Result<(), Trouble> {
        let Descriptor { digest, size, .. } = *self.blob.descriptor;
        let piece = PIECE.max(least.min(LARGEST));
        let mut stream = Checked::open(self.blob, 0)?;
        let (mut tried, mut farthest) = (0, 0);
        while stream.at < size {
            let at = stream.at;
            match self.piece(&location, &mut stream, piece.min(size - at)) {
                Ok(answer) => {
                    location = self.location(&location, &answer)?;
                    let received = answer.received().filter(|received| *received > at);
                    if received.is_some_and(|received| received < stream.at) {
                        stream.go_to(received.unwrap_or(at))?;
                    }
                    // Farther than ever: what broke before counts no more.
                    if stream.at > farthest {
                        (farthest, tried) = (stream.at, 0);
                    }
                }
                Err(Piece::Unknown(trouble)) => {
                    // A registry that does not accept the first chunk may accept the entire blob.
                    *whole |= at == 0;
                    stream.undo()?;
                    return Err(trouble);
                }
                Err(Piece::Broken(trouble)) => {
                    tried += 1;
                    self.repository.pause(tried, trouble)?;
                    let there = self.there(&location);
                    let Ok((newest, at)) = there else {
                        stream.undo()?;
                        let error = self.bad("the upload is lost");
                        return Err(Trouble::Again(error, None));
                    };
                    location = newest;
                    stream.go_to(at.min(size))?;
                }
            }
        }
        let url = url::with_parameter(&location, "digest", &digest.to_string());
        let answer = self.repository.once(&self.ask(Method::PUT, url, vec![]), Payload::Bytes(&[]));
        self.end(&stream, answer)
    }

    /// Sends one chunk.
    fn piece(
        &self,
        location: &str,
        stream: &mut Checked<'_, '_>,
        len: u64,
    ) -> Result<Answer, Piece> {
        let at = stream.at;
        let headers = vec![
            ("content-type", "application/octet-stream".to_owned()),
            ("content-range", format!("{at}-{}", at + len - 1)),
        ];
        let ask = self.ask(Method::PATCH, location.to_owned(), headers);
        let answer = {
            let mut piece = stream.by_ref().take(len);
            self.repository.once(&ask, Payload::Stream(&mut piece, len))
        };
        match stream.outcome(answer) {
            Err(Trouble::Final(error)) => Err(Piece::Unknown(Trouble::Final(error))),
            Err(trouble) => Err(Piece::Broken(trouble)),
            Ok(answer) if matches!(answer.status(), 201 | 202 | 204) => Ok(answer),
            Ok(answer) => {
                let status = answer.status();
                let after = answer.after();
                let trouble = self.repository.refused(self.what, answer);
                let again = |trouble: Trouble| Trouble::Again(trouble.into_error(), after);
                Err(match status {
                    401 | 416 => Piece::Broken(again(trouble)),
                    404 | 405 | 501 => Piece::Unknown(again(trouble)),
                    status if retry::is_transient(status) => Piece::Broken(trouble),
                    _ => Piece::Unknown(trouble),
                })
            }
        }
    }

    /// Returns the location at which to resume an upload, and its offset.
    fn there(&self, location: &str) -> Result<(String, u64), Trouble> {
        let ask = self.ask(Method::GET, location.to_owned(), vec![]);
        let answer = self.repository.once(&ask, Payload::None)?;
        if !answer.succeeded() {
            return Err(self.repository.refused(self.what, answer));
        }
        let at = answer.received().unwrap_or(0);
        let newest = self.location(location, &answer).unwrap_or_else(|_| location.to_owned());
        Ok((newest, at))
    }
}

/// The reason for which a chunk was not accepted.
enum Piece {
    /// The upload may resume.
    Broken(Trouble),
    /// It cannot continue in chunks.
    Unknown(Trouble),
}

/// A blob that is compared with its digest while it is read: the last bytes are returned only if it
/// matches.
struct Checked<'a, 'b> {
    blob: &'a Blob<'b>,
    inner: Box<dyn Read + 'b>,
    hasher: Hasher,
    /// The number of bytes that were returned.
    at: u64,
    /// The reason for which reading ended.
    error: RefCell<Option<Error>>,
}

impl<'a, 'b> Checked<'a, 'b> {
    fn open(blob: &'a Blob<'b>, at: u64) -> Result<Self, Trouble> {
        let inner = (blob.open)()?;
        let error = RefCell::new(None);
        let mut stream = Checked { blob, inner, hasher: Hasher::default(), at: 0, error };
        let skipped = io::copy(&mut stream.by_ref().take(at), &mut io::sink());
        match (stream.error.take(), skipped) {
            (Some(error), _) => Err(error.into()),
            (None, Err(error)) => Err(stream.unread(error).into()),
            (None, Ok(_)) => Ok(stream),
        }
    }

    /// Continues from `at`, which may be before the bytes that were returned.
    fn go_to(&mut self, at: u64) -> Result<(), Trouble> {
        self.undo()?;
        *self = Self::open(self.blob, at)?;
        Ok(())
    }

    /// Reports that the bytes returned so far have to be sent again.
    fn undo(&self) -> Result<()> {
        (self.blob.sent)(i64::try_from(self.at).map_or(i64::MIN, |at| -at))
    }

    /// Returns the result of sending it: if reading failed, that error.
    fn outcome(&self, answer: Result<Answer, Trouble>) -> Result<Answer, Trouble> {
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
        let lies = || {
            let path = blob_path(digest);
            Error::check(format!("`{path}` is corrupt: expected {size} bytes with that digest"))
                .hint("it is damaged: build it again")
        };
        if count == 0 {
            return Err(lies());
        }
        self.hasher.update(&buffer[..count]);
        if left == count as u64 {
            let mut more = [0];
            let ends = self.inner.read(&mut more).map_err(|error| self.unread(error))? == 0;
            if !ends || self.hasher.clone().finish().0 != digest {
                return Err(lies());
            }
        }
        (self.blob.sent)(i64::try_from(count).unwrap_or(i64::MAX))?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Read for Checked<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|error| {
            let told = io::Error::other("the blob cannot be read");
            self.error.replace(Some(error));
            told
        })
    }
}
