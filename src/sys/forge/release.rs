//! The transport of a release: its requests, files and downloads.

use std::{
    cell::RefCell,
    io::{self, Read},
};

use super::{Call, Client, Payload, Settings};
use crate::{
    image::distribution::retry,
    model::{
        digest::{Digest, Hasher},
        error::{Error, Result},
        http::ApiResponse,
        schema::publication::ForgeKind,
        secret::Secret,
    },
    release::publish::{
        Destination, Download, ReleaseFile, Request, RequestBody, Transport, WriteError,
        upload_origin,
    },
    sys::{Context, registry::RequestError},
};

/// The separator of the parts of a form (RFC 7578, 4.1). It is not random: the length of the part that follows is
/// known, and files that contain it would have to be made for that.
const BOUNDARY: &str = "longshore-8f3d1c6a5b7e4920-boundary";

/// Opens the file with an index.
pub(super) type OpenFile<'a> = &'a dyn Fn(usize) -> Result<Box<dyn Read + 'a>>;

/// Returns the transport to a destination. `open` opens the file of that index, of which `files` has size and
/// digest.
///
/// # Errors
/// The connection would be without TLS.
pub fn release_transport<'a>(
    cx: &'a Context,
    settings: &'a Settings,
    destination: &'a Destination,
    files: &'a [ReleaseFile],
    open: OpenFile<'a>,
) -> Result<Box<dyn Transport + 'a>> {
    let mut client = Client::new(cx, settings, &destination.api)?;
    if let Some((token, _)) = &destination.token {
        client = client.with_token(headers(destination, token), token.clone());
        if destination.forge == ForgeKind::Github {
            client = client.with_origin(upload_origin(&destination.api));
        }
    }
    Ok(Box::new(ReleaseTransport { client, destination, files, open }))
}

/// Returns the headers that have the token.
fn headers(destination: &Destination, token: &Secret) -> Vec<(&'static str, Secret)> {
    let token = token.reveal();
    match destination.forge {
        ForgeKind::Github => vec![
            ("x-github-api-version", Secret::new("2022-11-28")),
            ("authorization", Secret::new(format!("Bearer {token}"))),
        ],
        ForgeKind::Gitlab if destination.has_job_token() => {
            vec![("job-token", Secret::new(token))]
        }
        ForgeKind::Gitlab => vec![("private-token", Secret::new(token))],
        ForgeKind::Forgejo => vec![("authorization", Secret::new(format!("token {token}")))],
    }
}

struct ReleaseTransport<'a> {
    client: Client<'a>,
    destination: &'a Destination,
    files: &'a [ReleaseFile],
    open: OpenFile<'a>,
}

impl ReleaseTransport<'_> {
    /// Calls `once`, and retries as long as that may help.
    fn retry<T>(&self, mut once: impl FnMut() -> Result<T, RequestError>) -> Result<T> {
        let mut tried = 0;
        loop {
            self.check()?;
            tried += 1;
            match once() {
                Ok(value) => return Ok(value),
                Err(trouble) => self.wait(tried, trouble)?,
            }
        }
    }

    fn wait(&self, tried: u32, trouble: RequestError) -> Result<()> {
        // An interrupted request fails in many ways.
        self.check()?;
        let (error, after) = trouble.retry(tried)?;
        let salt = u64::from(std::process::id()).wrapping_mul(31).wrapping_add(tried.into());
        let Some(time) = retry::wait_time(tried, after, salt) else { return Err(error) };
        let seconds = time.as_secs_f64();
        self.client.cx.status("Retrying", format!("in {seconds:.1} s: {error}"));
        self.client.cx.children.pause(time)
    }

    fn accept(&self) -> &'static str {
        match self.destination.forge {
            ForgeKind::Github => "application/vnd.github+json",
            ForgeKind::Gitlab | ForgeKind::Forgejo => "application/json",
        }
    }

    fn call(&self, request: &Request, payload: Payload<'_>) -> Result<ApiResponse, RequestError> {
        let Request { method, url, what, .. } = request;
        self.client.call(Call { method: *method, url, accept: self.accept(), payload, what })
    }

    fn send(&self, request: &Request) -> Result<ApiResponse, RequestError> {
        match &request.body {
            RequestBody::Empty => self.call(request, Payload::Empty),
            RequestBody::Json(body) => self.call(request, Payload::Json(body)),
            RequestBody::File(index) => {
                let mut stream = self.checked_file(*index)?;
                let size = stream.file.size;
                let kind = "application/octet-stream";
                let answer = self.call(request, Payload::Stream(kind, &mut stream, size));
                stream.outcome(answer)
            }
            RequestBody::Form(index, field) => {
                let mut stream = self.checked_file(*index)?;
                let (size, name) = (stream.file.size, stream.file.name.clone());
                // The names of files have no characters that would have to be escaped.
                let head = format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; \
                     filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
                );
                let tail = format!("\r\n--{BOUNDARY}--\r\n");
                let length = size + (head.len() + tail.len()) as u64;
                let kind = format!("multipart/form-data; boundary={BOUNDARY}");
                let answer = {
                    let mut form = head.as_bytes().chain(stream.by_ref()).chain(tail.as_bytes());
                    self.call(request, Payload::Stream(&kind, &mut form, length))
                };
                stream.outcome(answer)
            }
        }
    }

    fn checked_file(&self, index: usize) -> Result<CheckedFile<'_>> {
        let file = self.files.get(index).ok_or_else(|| Error::check("there is no such file"))?;
        let inner = (self.open)(index)?;
        let error = RefCell::new(None);
        Ok(CheckedFile { file, inner, hasher: Hasher::default(), at: 0, error })
    }
}

impl Transport for ReleaseTransport<'_> {
    fn read(&self, request: &Request) -> Result<ApiResponse> {
        self.retry(|| self.send(request))
    }

    fn write(&self, request: &Request) -> Result<ApiResponse, WriteError> {
        self.check()?;
        self.send(request).map_err(|trouble| match trouble {
            RequestError::Again(error, after) => WriteError::Again(error, after),
            RequestError::Slow(error) => WriteError::Slow(error),
            RequestError::Final(error) => WriteError::Final(error),
        })
    }

    fn download(&self, download: &Download, limit: u64) -> Result<Result<(Digest, u64), u16>> {
        let Download { url, with_token, what } = download;
        self.retry(|| self.client.download(url, *with_token, limit, what))
    }

    fn pause(&self, tried: u32, failure: WriteError) -> Result<()> {
        self.wait(
            tried,
            match failure {
                WriteError::Again(error, after) => RequestError::Again(error, after),
                WriteError::Slow(error) => RequestError::Slow(error),
                WriteError::Conflict(error) | WriteError::Final(error) => {
                    RequestError::Final(error)
                }
            },
        )
    }

    fn status_error(&self, what: &str, answer: &ApiResponse) -> Error {
        let error = self.client.status_error(what, answer);
        let (destination, variable) = (self.destination, self.destination.token_variable());
        let (repository, permission) = (&destination.repository, destination.permission());
        let hint = match (answer.status, &destination.token) {
            (401 | 403 | 404, None) => {
                format!("there is no token: set `{variable}`, with {permission}")
            }
            (401, Some(_)) => format!("the token in `{variable}` is wrong or has expired"),
            (403, Some(_)) => {
                format!("the token in `{variable}` lacks permission: it needs {permission}")
            }
            (404, Some(_)) => format!(
                "is `{repository}` right? The token in `{variable}` may lack access to it: it needs \
                 {permission}"
            ),
            (413, _) => "the server, or a proxy before it, rejects files of this size".to_owned(),
            _ => return error,
        };
        error.or_hint(hint)
    }

    fn error(&self, what: &str, why: &str) -> Error {
        self.client.error(what, why)
    }

    fn report(&self, verb: &'static str, message: String) {
        self.client.cx.status(verb, message);
    }

    fn check(&self) -> Result<()> {
        self.client.cx.children.check()
    }
}

/// A file that is compared with its digest while it is sent: the last bytes are returned only if it matches.
struct CheckedFile<'a> {
    file: &'a ReleaseFile,
    inner: Box<dyn Read + 'a>,
    hasher: Hasher,
    /// The number of bytes that were returned.
    at: u64,
    /// The reason for which reading ended.
    error: RefCell<Option<Error>>,
}

impl CheckedFile<'_> {
    /// Returns the result of sending it: if reading failed, that error.
    fn outcome<T>(&self, answer: Result<T, RequestError>) -> Result<T, RequestError> {
        match self.error.take() {
            Some(error) => Err(error.into()),
            None => answer,
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let ReleaseFile { name, size, sha256 } = self.file;
        let left = size.saturating_sub(self.at);
        if left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let unread = |error| Error::check(format!("`{name}` cannot be read")).because(error);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..most]).map_err(unread)?;
        self.hasher.update(&buffer[..count]);
        let complete = left == count as u64;
        if count == 0 || complete && self.hasher.clone().finish().0 != *sha256 {
            return Err(Error::check(format!("`{name}` changed while it was sent"))
                .hint("the release is not published; build it again"));
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Read for CheckedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|error| {
            let reported = io::Error::other("the file cannot be read");
            self.error.replace(Some(error));
            reported
        })
    }
}
