//! Files at URLs, such as those of a release: no credentials are sent, and none are accepted in a URL.

use std::{
    io::{Read as _, Write},
    sync::Arc,
};

use ureq::http::Request;

use super::{Cause, Connection, Failure, Paced, RequestError, Session, cause, connect};
use crate::{
    image::distribution::{registry_error, retry},
    model::{
        error::{Error, Result, Status},
        url,
    },
    sys::{clock, temporary},
};

/// The redirects that are followed.
const REDIRECTS: u32 = 8;

impl Session {
    /// Returns the first `limit` bytes of the file at `url`; `None` if there is none.
    ///
    /// # Errors
    /// The server rejects the request, cannot be reached, or must not be connected to; or there was an
    /// interrupt.
    pub fn download(self: &Arc<Self>, url: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let found = self.download_to(url, limit, &mut |chunk| {
            match chunk {
                Some(chunk) => bytes.extend_from_slice(chunk),
                None => bytes.clear(),
            }
            Ok(())
        })?;
        Ok(found.then_some(bytes))
    }

    /// Writes the first `limit` bytes of the file at `url` to `draft`; returns whether there is one.
    ///
    /// # Errors
    /// As [`Session::download`], or the file cannot be written.
    pub fn download_file(
        self: &Arc<Self>,
        url: &str,
        limit: u64,
        draft: &mut temporary::Draft,
    ) -> Result<bool> {
        let failed = |error| Error::build("cannot write a temporary file").because(error);
        self.download_to(url, limit, &mut |chunk| match chunk {
            Some(chunk) => draft.write_all(chunk).map_err(failed),
            None => draft.restart().map_err(failed),
        })
    }

    /// Passes the chunks of the file at `url` to `take`; `None` means that the file begins again.
    fn download_to(
        self: &Arc<Self>,
        url: &str,
        limit: u64,
        take: &mut dyn FnMut(Option<&[u8]>) -> Result<()>,
    ) -> Result<bool> {
        let mut tried = 0;
        loop {
            self.cx.children.check()?;
            tried += 1;
            let trouble = match self.download_once(url, limit, take) {
                Ok(found) => return Ok(found),
                Err(trouble) => trouble,
            };
            // An interrupted request fails in many ways.
            self.cx.children.check()?;
            let (error, after) = trouble.retry(tried)?;
            let Some(time) = retry::wait_time(tried, after, url.len() as u64) else {
                return Err(error);
            };
            self.cx.status("Retrying", format!("in {:.1} s: {error}", time.as_secs_f64()));
            self.cx.children.pause(time)?;
            take(None)?;
        }
    }

    fn download_once(
        &self,
        url: &str,
        limit: u64,
        take: &mut dyn FnMut(Option<&[u8]>) -> Result<()>,
    ) -> Result<bool, RequestError> {
        let mut to = url.to_owned();
        for _ in 0..=REDIRECTS {
            let connection = self.open_connection(&to)?;
            let ends = connection.agent.clone();
            let _hook = self.cx.children.when_interrupted(move || ends.clone().shutdown());
            let failed =
                |error| connection_error(&to, &Failure::new(error, &to, connection.proxy.clone()));
            let request =
                Request::builder().uri(&to).body(()).map_err(|error| failed(error.into()))?;
            let request = connection.agent.configure_request(request);
            let limits = &self.settings.limits;
            let request = request.timeout_recv_response(Some(limits.read)).build();
            let response = connection.agent.run(request).map_err(failed)?;
            let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
            match response.status().as_u16() {
                200 => {}
                301 | 302 | 303 | 307 | 308 => {
                    let location = header("location").unwrap_or_default();
                    let next = url::resolve(&to, &location).ok();
                    // A server elsewhere cannot have this machine's network be requested.
                    let next = next.filter(|next| is_private(url) || !is_private(next));
                    let rejected = || error(&to, "it leads to an address that is not followed");
                    to = next.ok_or_else(rejected)?;
                    continue;
                }
                404 | 410 => return Ok(false),
                status => {
                    let wait = header("retry-after")
                        .and_then(|text| retry::parse_retry_after(&text, clock::now()));
                    let error = error(&to, &registry_error::status_name(status));
                    return Err(if retry::is_transient(status) {
                        RequestError::Again(error, wait)
                    } else {
                        RequestError::Final(error)
                    });
                }
            }
            let mut reader =
                Paced::received(response.into_body().into_reader(), limits).take(limit);
            let mut buffer = vec![0; 64 << 10];
            loop {
                self.cx.children.check()?;
                let count = reader
                    .read(&mut buffer)
                    .map_err(|error| connection_error(&to, &error.into()))?;
                let chunk = buffer.get(..count).unwrap_or_default();
                if chunk.is_empty() {
                    return Ok(true);
                }
                take(Some(chunk))?;
            }
        }
        Err(error(url, "there are too many redirects").into())
    }

    /// Returns the connection for `url`, if it may be connected to: without TLS only this machine, and hosts
    /// that the user names.
    fn open_connection(&self, url: &str) -> Result<Connection> {
        let origin = url::origin(url)
            .ok_or_else(|| Error::usage(format!("`{}` is not a URL", shown(url))))?;
        let (scheme, host) = origin.split_once("://").unwrap_or_default();
        if host.contains('@') {
            return Err(Error::usage("expected a URL without user and password")
                .hint("download the release, and name its directory"));
        }
        let allowed = url::is_loopback(host) || self.settings.insecure.iter().any(|it| it == host);
        if scheme != "https" && !allowed {
            return Err(Error::usage(format!("`{host}` would be connected to over plain HTTP"))
                .hint(format!("`--insecure {host}` allows that")));
        }
        let proxy = self.proxies.choose(url)?;
        let by_tls = proxy.as_ref().is_some_and(|proxy| proxy.url.reveal().starts_with("https://"));
        let tls = if scheme == "https" || by_tls { Some(self.tls()?) } else { None };
        connect(tls, proxy, &self.settings.limits)
    }
}

/// Returns a URL for people: without its query, which may hold a token.
fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Returns whether the host of a URL is this machine, or on its network.
fn is_private(url: &str) -> bool {
    let host = url::origin(url).and_then(|origin| origin.split_once("://"));
    host.is_some_and(|(_, host)| url::is_private(host))
}

fn error(url: &str, why: &str) -> Error {
    Error::new(Status::Registry, format!("cannot get `{}`: {why}", shown(url)))
}

/// Returns the error for a missing answer.
fn connection_error(url: &str, failure: &Failure) -> RequestError {
    let host = url::origin(url).and_then(|origin| origin.split_once("://")).map_or("", |it| it.1);
    let error = |why: &str| error(url, &failure.explain(host, why));
    match cause(&failure.error) {
        Cause::Own(own) => RequestError::Final(own.duplicate()),
        Cause::Certificate(why, hint) => {
            RequestError::Final(error(&format!("TLS failed: {why}")).hint(hint))
        }
        Cause::Tls(why) => RequestError::Final(error(&format!("TLS failed: {why}"))),
        Cause::Unreachable(why) => {
            RequestError::Final(error(&why).hint(failure.unreachable_hint(host, "")))
        }
        Cause::Silent(why) => RequestError::Slow(error(why)),
        Cause::Broken(why) => RequestError::Again(error(why), None),
        Cause::Wrong(why) => RequestError::Final(error(why)),
    }
}
