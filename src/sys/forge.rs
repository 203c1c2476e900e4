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
    registry::{Cause, Connection, Failure, Limits, Paced, Trouble, cause, connect, trust},
};
use crate::{
    ci::comment::{Answer, Done, Method, Place, Request, Step, Talk},
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
    place: &'a Place,
    host: String,
    connection: Connection,
    /// Ends the connections at an interrupt.
    _hook: Hook,
    /// Whether it has ever answered.
    reached: AtomicBool,
}

/// Holds the conversation that `begin` begins, and holds it again from its beginning as long as that
/// may help: whatever was written before an answer was lost is then found, and not written again.
///
/// # Errors
/// The server rejects the request, cannot be reached, or gives an unexpected answer; or the operation
/// was interrupted.
pub fn comment<'t>(
    cx: &Context,
    settings: &Settings,
    place: &Place,
    begin: impl Fn() -> Talk<'t>,
) -> Result<Done> {
    let forge = Forge::new(cx, settings, place)?;
    let mut tried = 0;
    loop {
        cx.children.check()?;
        tried += 1;
        let trouble = match forge.talk(begin()) {
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
    fn new(cx: &'a Context, settings: &Settings, place: &'a Place) -> Result<Self> {
        let origin = url::origin(&place.comments).unwrap_or_default();
        let (scheme, host) = origin.split_once("://").unwrap_or_default();
        let local = url::is_loopback(host);
        let allowed = local || settings.insecure.iter().any(|named| named == host);
        if scheme != "https" && !allowed {
            let message = format!("`{host}` would get the token over plain HTTP");
            return Err(Error::usage(message).hint(format!("`--insecure {host}` allows that")));
        }
        let proxy = Proxies::new(|name| cx.env.var(name)).choose(&place.comments)?;
        let by_tls = proxy.as_ref().is_some_and(|of| of.url.reveal().starts_with("https://"));
        let tls = if scheme == "https" || by_tls { Some(trust(&settings.ca)?) } else { None };
        let connection = connect(tls, proxy, &Limits::default())?;
        let ends = connection.agent.clone();
        let hook = cx.children.when_interrupted(move || ends.clone().shutdown());
        let reached = AtomicBool::new(false);
        Ok(Forge { cx, place, host: host.to_owned(), connection, _hook: hook, reached })
    }

    fn talk(&self, mut talk: Talk<'_>) -> Result<Done, Trouble> {
        loop {
            self.cx.children.check()?;
            let what = talk.asked().what;
            let answer = self.ask(talk.asked())?;
            match talk.answer(&answer) {
                Step::Ask(_) => {}
                Step::Done(done) => return Ok(done),
                Step::Failed(why) => return Err(self.error(what, why).into()),
                Step::Unexpected => return Err(self.refused(what, &answer).into()),
            }
        }
    }

    /// Sends a request, and follows redirects on this server. An answer that may change on a retry is
    /// an error.
    fn ask(&self, request: &Request) -> Result<Answer, Trouble> {
        let what = request.what;
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS {
            let sent = self.send(request, &url);
            let failed = |error| Failure::new(error, &url, self.connection.proxy.clone());
            let response = sent.map_err(|error| self.broken(what, &failed(error)))?;
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
            let answer = Answer { status, link: header("link"), body: self.read(what, response)? };
            // GitHub answers 403 if there were too many requests ("Rate limits for the REST API").
            let again = status == 403 && (limited || after.is_some());
            if again || retry::is_transient(status) {
                return Err(Trouble::Again(self.refused(what, &answer), after));
            }
            return Ok(answer);
        }
        Err(self.error(what, "it leads in a circle").into())
    }

    fn send(&self, request: &Request, url: &str) -> Result<Response<Body>, ureq::Error> {
        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Patch => http::Method::PATCH,
            Method::Put => http::Method::PUT,
        };
        let token = self.place.token.reveal();
        let head = http::Request::builder().method(method).uri(url);
        let head = match self.place.gitlab {
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

    fn read(&self, what: &str, mut response: Response<Body>) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        let reader = Paced::received(response.body_mut().as_reader(), &Limits::default());
        let read = reader.take(PAGE + 1).read_to_end(&mut body);
        read.map_err(|error| self.broken(what, &error.into()))?;
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
    fn refused(&self, what: &str, answer: &Answer) -> Error {
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
    fn broken(&self, what: &str, failure: &Failure) -> Trouble {
        let host = &self.host;
        let error = |why: &str| self.error(what, &failure.explain(host, why));
        match cause(&failure.error) {
            Cause::Own(own) => Trouble::Final(own.duplicate()),
            Cause::Certificate(why, hint) => {
                Trouble::Final(error(&format!("TLS failed: {why}")).hint(hint))
            }
            Cause::Tls(why) => Trouble::Final(error(&format!("TLS failed: {why}"))),
            Cause::Unreachable(why) => {
                let error = error(&why).hint(failure.way(host, ""));
                let before = self.reached.load(Ordering::Relaxed);
                if before { Trouble::Again(error, None) } else { Trouble::Final(error) }
            }
            Cause::Silent(why) => Trouble::Slow(error(why)),
            Cause::Broken(why) => Trouble::Again(error(why), None),
            Cause::Wrong(why) => Trouble::Final(error(why)),
        }
    }

    /// Returns `text` without the token.
    fn redact(&self, text: &str) -> String {
        text.replace(self.place.token.reveal(), "***")
    }
}
