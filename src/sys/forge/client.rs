//! Requests to the API of a forge: the token, redirects, limits, and errors.

use std::{
    collections::HashMap,
    io::Read,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ureq::{
    Body, SendBody,
    http::{self, Response},
};

use super::Settings;
use crate::{
    image::distribution::{proxy::Proxies, registry_error, retry},
    model::{
        digest::Digest,
        error::{Error, Result, Status},
        http::{ApiResponse, Method},
        secret::Secret,
        url,
    },
    sys::{
        Context, clock, fs,
        process::Hook,
        registry::{Cause, Connection, Failure, Paced, RequestError, cause, connect, trust},
    },
};

/// The largest page: a hundred comments of 65,536 characters, each of which JSON may write in six
/// bytes.
const PAGE: u64 = 40 << 20;

/// The redirects that are followed, as of a repository that has another name now.
const REDIRECTS: u32 = 5;

/// The longest message of a server in a form that is not recognised.
const MAX_MESSAGE: usize = 400;

/// One server.
pub(super) struct Client<'a> {
    pub(super) cx: &'a Context,
    settings: &'a Settings,
    host: String,
    /// The origins that get the token.
    origins: Vec<String>,
    /// The headers for these.
    headers: Vec<(&'static str, Secret)>,
    token: Option<Secret>,
    proxies: Proxies,
    /// The connections by origin, each with the hook that ends it at an interrupt.
    connections: Mutex<HashMap<String, (Connection, Hook)>>,
    /// A flag that is set once it has sent a response.
    reached: AtomicBool,
}

/// A request.
pub(super) struct Call<'a, 'p> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    pub(super) accept: &'a str,
    pub(super) payload: Payload<'p>,
    /// Its purpose, as in `cannot …`.
    pub(super) what: &'a str,
}

/// The body of a request.
pub(super) enum Payload<'a> {
    Empty,
    Json(&'a str),
    /// A stream of that type and that many bytes, which can be read once.
    Stream(&'a str, &'a mut dyn Read, u64),
}

/// The limit on the number of requests, as a response reports it (GitHub: "Rate limits for the REST API").
struct RateLimit {
    /// Whether no requests are left.
    exhausted: bool,
    /// The time until the next request.
    after: Option<Duration>,
}

impl RateLimit {
    fn read(response: &Response<Body>) -> Self {
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let exhausted = header("x-ratelimit-remaining") == Some("0");
        let after =
            header("retry-after").and_then(|text| retry::parse_retry_after(text, clock::now()));
        // "You should not retry your request until after the time specified by the `x-ratelimit-reset` header", in
        // seconds since 1970.
        let reset = header("x-ratelimit-reset").and_then(|text| text.parse::<u64>().ok());
        let limited = matches!(response.status().as_u16(), 403 | 429);
        let reset = reset.filter(|_| exhausted && limited);
        let until = reset.map(|reset| Duration::from_secs(reset.saturating_sub(clock::now())));
        RateLimit { exhausted, after: after.or(until) }
    }

    /// Returns whether a later request may have a different answer than this status. GitHub answers 403 or 429 if
    /// there were too many requests.
    fn is_transient(&self, status: u16) -> bool {
        let limited = status == 403 && (self.exhausted || self.after.is_some());
        limited || retry::is_transient(status)
    }

    /// Returns the error, with the time to wait.
    fn error(&self, error: Error) -> RequestError {
        let too_long = self.after.filter(|wait| *wait > retry::MAX_REQUESTED_WAIT);
        let error = match too_long {
            Some(wait) => {
                error.hint(format!("the server accepts requests again in {} s", wait.as_secs()))
            }
            None => error,
        };
        RequestError::Again(error, self.after)
    }
}

impl<'a> Client<'a> {
    /// Returns a client of the server of `address`.
    ///
    /// # Errors
    /// The connection would be without TLS.
    pub(super) fn new(cx: &'a Context, settings: &'a Settings, address: &str) -> Result<Self> {
        let origin = url::origin(address).unwrap_or_default().to_owned();
        let (scheme, host) = origin.split_once("://").unwrap_or_default();
        let local = url::is_loopback(host);
        let allowed = local || settings.insecure.iter().any(|named| named == host);
        if scheme != "https" && !allowed {
            let message = format!("`{host}` would get the token over plain HTTP");
            return Err(Error::usage(message).hint(format!("`--insecure {host}` allows that")));
        }
        Ok(Client {
            cx,
            settings,
            host: host.to_owned(),
            origins: vec![origin],
            headers: Vec::new(),
            token: None,
            proxies: Proxies::new(|name| cx.env.var(name)),
            connections: Mutex::default(),
            reached: AtomicBool::new(false),
        })
    }

    /// Sends the headers with the token to this server.
    pub(super) fn with_token(
        mut self,
        headers: Vec<(&'static str, Secret)>,
        token: Secret,
    ) -> Self {
        (self.headers, self.token) = (headers, Some(token));
        self
    }

    /// Sends the headers to a further origin.
    pub(super) fn with_origin(mut self, origin: Option<String>) -> Self {
        self.origins.extend(origin);
        self
    }

    pub(super) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(header, _)| *header == name)
    }

    /// Sends a request, and follows redirects on this server. An answer that may change on a retry is
    /// an error.
    pub(super) fn call(&self, mut call: Call<'_, '_>) -> Result<ApiResponse, RequestError> {
        let what = call.what;
        let mut url = call.url.to_owned();
        for _ in 0..=REDIRECTS {
            let response = self.send(&mut call, &url, true)?;
            let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
            let status = response.status().as_u16();
            let moved = matches!(status, 301 | 302 | 307 | 308);
            if let (true, Some(to)) = (moved, header("location")) {
                if matches!(call.payload, Payload::Stream(..)) {
                    let why = "the server redirects uploads: name its current address";
                    return Err(self.error(what, why).into());
                }
                // The token is for this server alone.
                let to = url::resolve(&url, &to).ok().filter(|to| url::is_same_origin(to, &url));
                url = to.ok_or_else(|| self.error(what, "it leads to another server"))?;
                continue;
            }
            let limit = RateLimit::read(&response);
            let answer =
                ApiResponse { status, link: header("link"), body: self.read(what, response)? };
            if limit.is_transient(status) {
                return Err(limit.error(self.status_error(what, &answer)));
            }
            return Ok(answer);
        }
        Err(self.error(what, "it leads in a circle").into())
    }

    /// Returns digest and size of the content at an address, of which at most `limit` bytes and one more are
    /// read; or the status of the response. Redirects to other servers, such as storage, are followed without
    /// the token.
    pub(super) fn download(
        &self,
        address: &str,
        with_token: bool,
        limit: u64,
        what: &str,
    ) -> Result<Result<(Digest, u64), u16>, RequestError> {
        let mut url = address.to_owned();
        let payload = Payload::Empty;
        let accept = "application/octet-stream";
        let mut call = Call { method: Method::Get, url: address, accept, payload, what };
        let mut with_token = with_token;
        for _ in 0..=REDIRECTS {
            let mut response = self.send(&mut call, &url, with_token)?;
            let header = |name: &str| response.headers().get(name)?.to_str().ok();
            let status = response.status().as_u16();
            if let (301..=303 | 307 | 308, Some(to)) = (status, header("location")) {
                url = url::resolve(&url, to)
                    .map_err(|_| self.error(what, "it leads to an address that is not followed"))?;
                // A repository that has another name now still needs the token; storage has its own proof in the
                // address, and may reject a second one.
                with_token &= !matches!(status, 302 | 303);
                continue;
            }
            let rate = RateLimit::read(&response);
            if rate.is_transient(status) {
                let error = self.error(what, &registry_error::status_name(status));
                return Err(rate.error(error));
            }
            if status != 200 {
                return Ok(Err(status));
            }
            let length = header("content-length").and_then(|text| text.parse::<u64>().ok());
            let reader = Paced::received(response.body_mut().as_reader(), &self.settings.limits);
            let read = fs::hash(reader.take(limit.saturating_add(1)), |_| {});
            let (digest, size) =
                read.map_err(|error| self.connection_error(what, &error.into()))?;
            if length.is_some_and(|length| size < length.min(limit.saturating_add(1))) {
                return Err(RequestError::Again(
                    self.error(what, "the response is truncated"),
                    None,
                ));
            }
            return Ok(Ok((digest, size)));
        }
        Err(self.error(what, "it leads in a circle").into())
    }

    /// Sends a request once, with the token if the address is one of this server.
    fn send(
        &self,
        call: &mut Call<'_, '_>,
        url: &str,
        with_token: bool,
    ) -> Result<Response<Body>, RequestError> {
        let connection = self.connection(url)?;
        let own = with_token && self.origins.iter().any(|origin| url::is_same_origin(url, origin));
        let sent = self.run(&connection, call, url, own);
        let response = sent.map_err(|error| {
            self.connection_error(call.what, &Failure::new(error, url, connection.proxy.clone()))
        })?;
        self.reached.store(true, Ordering::Relaxed);
        Ok(response)
    }

    fn run(
        &self,
        connection: &Connection,
        call: &mut Call<'_, '_>,
        url: &str,
        own: bool,
    ) -> Result<Response<Body>, ureq::Error> {
        let method = match call.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Patch => http::Method::PATCH,
            Method::Put => http::Method::PUT,
            Method::Delete => http::Method::DELETE,
        };
        let mut head =
            http::Request::builder().method(method).uri(url).header("accept", call.accept);
        for (name, value) in self.headers.iter().filter(|_| own) {
            head = head.header(*name, value.reveal());
        }
        let agent = &connection.agent;
        match &mut call.payload {
            Payload::Empty => agent.run(head.body(())?),
            Payload::Json(body) => {
                agent.run(head.header("content-type", "application/json").body(*body)?)
            }
            Payload::Stream(kind, stream, length) => {
                let mut stream = Paced::sent(&mut **stream, &self.settings.limits);
                let head = head.header("content-type", *kind).header("content-length", *length);
                agent.run(head.body(SendBody::from_reader(&mut stream))?)
            }
        }
    }

    /// Returns the connections for a URL. An interrupt ends them.
    fn connection(&self, url: &str) -> Result<Connection> {
        let origin = url::origin(url).unwrap_or_default();
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((connection, _)) = connections.get(origin) {
            return Ok(connection.clone());
        }
        let proxy = self.proxies.choose(url)?;
        let by_tls = proxy.as_ref().is_some_and(|proxy| proxy.url.reveal().starts_with("https://"));
        let secure = by_tls || url.starts_with("https://");
        let tls = if secure { Some(trust(&self.settings.ca)?) } else { None };
        let connection = connect(tls, proxy, &self.settings.limits)?;
        let ends = connection.agent.clone();
        let hook = self.cx.children.when_interrupted(move || ends.clone().shutdown());
        connections.insert(origin.to_owned(), (connection.clone(), hook));
        Ok(connection)
    }

    fn read(&self, what: &str, mut response: Response<Body>) -> Result<Vec<u8>, RequestError> {
        let mut body = Vec::new();
        let reader = Paced::received(response.body_mut().as_reader(), &self.settings.limits);
        let read = reader.take(PAGE + 1).read_to_end(&mut body);
        read.map_err(|error| self.connection_error(what, &error.into()))?;
        if body.len() as u64 > PAGE {
            return Err(self.error(what, "the answer is too long").into());
        }
        Ok(body)
    }

    pub(super) fn error(&self, what: &str, why: &str) -> Error {
        let why = self.redact(why);
        Error::new(Status::Registry, format!("`{}`: cannot {what}: {why}", self.host))
    }

    /// Returns the error for an unexpected answer.
    pub(super) fn status_error(&self, what: &str, answer: &ApiResponse) -> Error {
        let mut why = match answer.status {
            409 => "409 conflict".to_owned(),
            422 => "422 unprocessable content".to_owned(),
            status => registry_error::status_name(status),
        };
        let text = registry_error::message(&answer.body, |text| self.redact(text));
        if let Some(text) = text.or_else(|| self.message(&answer.body)) {
            why = format!("{why}: {text}");
        }
        self.error(what, &why)
    }

    /// Returns the message of an answer in which it is not a string, as in validations of GitLab.
    fn message(&self, body: &[u8]) -> Option<String> {
        let value: serde_json::Value = serde_json::from_slice(body).ok()?;
        let text = value.get("message").or_else(|| value.get("error"))?;
        let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
        let text = self.redact(&text);
        Some(text.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect())
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
        match &self.token {
            Some(token) => text.replace(token.reveal(), "***"),
            None => text.to_owned(),
        }
    }
}
