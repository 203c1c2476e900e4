//! GitHub and GitLab: the comments on pull requests, over HTTP. The requests, and the handling of the
//! answers, are in [`crate::ci::comment`]; here they are sent.

use std::{
    io::Read as _,
    sync::atomic::{AtomicBool, Ordering},
};

use camino::Utf8PathBuf;
use ureq::{
    Body,
    http::{self, Response},
};

use super::{
    Context, clock,
    process::Hook,
    registry::{
        Cause, Connection, Failure, Paced, RequestError, ResponseLimits, cause, connect, trust,
    },
};
use crate::{
    ci::comment::{
        ApiRequest, ApiResponse, CommentOutcome, Destination, Exchange, Method, NextStep,
    },
    image::distribution::{proxy::Proxies, registry_error, retry},
    model::{
        error::{Error, Result, Status},
        url,
    },
};

/// The largest page: a hundred comments of 65,536 characters, each of which JSON may write in six
/// bytes.
const PAGE: u64 = 40 << 20;

/// The redirects that are followed, as of a repository that has another name now.
const REDIRECTS: u32 = 5;

/// The settings for connections to servers.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Files of certificates that are trusted besides the system's.
    pub ca: Vec<Utf8PathBuf>,
    /// Hosts that may be connected to without TLS.
    pub insecure: Vec<String>,
}

/// One server.
struct Forge<'a> {
    cx: &'a Context,
    destination: &'a Destination,
    host: String,
    connection: Connection,
    /// Ends the connections at an interrupt.
    _hook: Hook,
    /// A flag that is set once it has sent a response.
    reached: AtomicBool,
}

/// Runs the exchange that `begin` returns, and repeats it from the start as long as a retry may help: a comment
/// that was written before its response was lost is then found, and not written again.
///
/// # Errors
/// The server rejects the request, cannot be reached, or gives an unexpected answer; or the operation
/// was interrupted.
pub fn comment<'t>(
    cx: &Context,
    settings: &Settings,
    destination: &Destination,
    begin: impl Fn() -> Exchange<'t>,
) -> Result<CommentOutcome> {
    let forge = Forge::new(cx, settings, destination)?;
    let mut tried = 0;
    loop {
        cx.children.check()?;
        tried += 1;
        let trouble = match forge.run(begin()) {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        // An interrupted request fails in many ways.
        cx.children.check()?;
        let (error, after) = trouble.retry(tried)?;
        let Some(time) = retry::wait_time(tried, after, u64::from(std::process::id())) else {
            return Err(error);
        };
        cx.status("Retrying", format!("in {:.1} s: {error}", time.as_secs_f64()));
        cx.children.pause(time)?;
    }
}

impl<'a> Forge<'a> {
    fn new(cx: &'a Context, settings: &Settings, destination: &'a Destination) -> Result<Self> {
        let origin = url::origin(&destination.comments).unwrap_or_default();
        let (scheme, host) = origin.split_once("://").unwrap_or_default();
        let local = url::is_loopback(host);
        let allowed = local || settings.insecure.iter().any(|named| named == host);
        if scheme != "https" && !allowed {
            let message = format!("`{host}` would get the token over plain HTTP");
            return Err(Error::usage(message).hint(format!("`--insecure {host}` allows that")));
        }
        let proxy = Proxies::new(|name| cx.env.var(name)).choose(&destination.comments)?;
        let by_tls = proxy.as_ref().is_some_and(|proxy| proxy.url.reveal().starts_with("https://"));
        let tls = if scheme == "https" || by_tls { Some(trust(&settings.ca)?) } else { None };
        let connection = connect(tls, proxy, &ResponseLimits::default())?;
        let ends = connection.agent.clone();
        let hook = cx.children.when_interrupted(move || ends.clone().shutdown());
        let reached = AtomicBool::new(false);
        Ok(Forge { cx, destination, host: host.to_owned(), connection, _hook: hook, reached })
    }

    fn run(&self, mut talk: Exchange<'_>) -> Result<CommentOutcome, RequestError> {
        loop {
            self.cx.children.check()?;
            let what = talk.request().what;
            let answer = self.send_with_redirects(talk.request())?;
            match talk.handle(&answer) {
                NextStep::Ask(_) => {}
                NextStep::Done(done) => return Ok(done),
                NextStep::Failed(why) => return Err(self.error(what, why).into()),
                NextStep::Unexpected => return Err(self.status_error(what, &answer).into()),
            }
        }
    }

    /// Sends a request, and follows redirects on this server. An answer that may change on a retry is
    /// an error.
    fn send_with_redirects(&self, request: &ApiRequest) -> Result<ApiResponse, RequestError> {
        let what = request.what;
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS {
            let sent = self.send(request, &url);
            let failed = |error| Failure::new(error, &url, self.connection.proxy.clone());
            let response = sent.map_err(|error| self.connection_error(what, &failed(error)))?;
            self.reached.store(true, Ordering::Relaxed);
            let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
            let status = response.status().as_u16();
            let moved = matches!(status, 301 | 302 | 307 | 308);
            if let (true, Some(to)) = (moved, header("location")) {
                // The token is for this server alone.
                let to = url::resolve(&url, &to).ok().filter(|to| url::is_same_origin(to, &url));
                url = to.ok_or_else(|| self.error(what, "it leads to another server"))?;
                continue;
            }
            let after = header("retry-after")
                .and_then(|text| retry::parse_retry_after(&text, clock::now()));
            let limited = header("x-ratelimit-remaining").is_some_and(|left| left == "0");
            let answer =
                ApiResponse { status, link: header("link"), body: self.read(what, response)? };
            // GitHub answers 403 if there were too many requests ("Rate limits for the REST API").
            let again = status == 403 && (limited || after.is_some());
            if again || retry::is_transient(status) {
                return Err(RequestError::Again(self.status_error(what, &answer), after));
            }
            return Ok(answer);
        }
        Err(self.error(what, "it leads in a circle").into())
    }

    fn send(&self, request: &ApiRequest, url: &str) -> Result<Response<Body>, ureq::Error> {
        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Patch => http::Method::PATCH,
            Method::Put => http::Method::PUT,
        };
        let token = self.destination.token.reveal();
        let head = http::Request::builder().method(method).uri(url);
        let head = match self.destination.gitlab {
            true => head.header("accept", "application/json").header("private-token", token),
            false => head
                .header("accept", "application/vnd.github+json")
                .header("x-github-api-version", "2022-11-28")
                .header("authorization", format!("Bearer {token}")),
        };
        match &request.body {
            None => self.connection.agent.run(head.body(())?),
            Some(body) => self
                .connection
                .agent
                .run(head.header("content-type", "application/json").body(body)?),
        }
    }

    fn read(&self, what: &str, mut response: Response<Body>) -> Result<Vec<u8>, RequestError> {
        let mut body = Vec::new();
        let reader = Paced::received(response.body_mut().as_reader(), &ResponseLimits::default());
        let read = reader.take(PAGE + 1).read_to_end(&mut body);
        read.map_err(|error| self.connection_error(what, &error.into()))?;
        if body.len() as u64 > PAGE {
            return Err(self.error(what, "the answer is too long").into());
        }
        Ok(body)
    }

    fn error(&self, what: &str, why: &str) -> Error {
        let why = self.redact(why);
        Error::new(Status::Registry, format!("`{}`: cannot {what}: {why}", self.host))
    }

    /// Returns the error for an unexpected answer.
    fn status_error(&self, what: &str, answer: &ApiResponse) -> Error {
        let mut why = registry_error::status_name(answer.status);
        if let Some(text) = registry_error::message(&answer.body, |text| self.redact(text)) {
            why = format!("{why}: {text}");
        }
        let error = self.error(what, &why);
        match answer.status {
            401 => error.hint("the token is wrong, or its time is up"),
            _ => error,
        }
    }

    /// Returns the error for a missing answer.
    fn connection_error(&self, what: &str, failure: &Failure) -> RequestError {
        let host = &self.host;
        let error = |why: &str| self.error(what, &failure.explain(host, why));
        match cause(&failure.error) {
            Cause::Own(own) => RequestError::Final(own.duplicate()),
            Cause::Certificate(why, hint) => {
                RequestError::Final(error(&format!("TLS failed: {why}")).hint(hint))
            }
            Cause::Tls(why) => RequestError::Final(error(&format!("TLS failed: {why}"))),
            Cause::Unreachable(why) => {
                let error = error(&why).hint(failure.unreachable_hint(host, ""));
                let before = self.reached.load(Ordering::Relaxed);
                if before { RequestError::Again(error, None) } else { RequestError::Final(error) }
            }
            Cause::Silent(why) => RequestError::Slow(error(why)),
            Cause::Broken(why) => RequestError::Again(error(why), None),
            Cause::Wrong(why) => RequestError::Final(error(why)),
        }
    }

    /// Returns `text` without the token.
    fn redact(&self, text: &str) -> String {
        text.replace(self.destination.token.reveal(), "***")
    }
}
