//! Questions and answers: who asks, what is asked again, and where it leads.

use std::{io::Read, sync::atomic::Ordering};

use ureq::{
    SendBody,
    http::{Method, Request},
};

use super::{
    Access, Repository,
    answer::Answer,
    failure::{Trouble, is_plain},
    lock,
};
use crate::{
    distribution::{Challenge, Credential, Secret, retry, url},
    error::Result,
};

/// The redirects that are followed.
const REDIRECTS: u32 = 5;

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) access: Access<'a>,
    /// What it is for, as in `cannot …`.
    pub(super) what: &'a str,
}

/// What goes with a question.
pub(super) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// A stream of that many bytes, which can be read once.
    Stream(&'a mut dyn Read, u64),
}

impl Repository {
    /// `once`, again and again as long as that may help.
    pub(super) fn again<T>(&self, mut once: impl FnMut() -> Result<T, Trouble>) -> Result<T> {
        let mut tried = 0;
        loop {
            self.cx().children.check()?;
            tried += 1;
            let trouble = match once() {
                Ok(value) => return Ok(value),
                Err(trouble) => trouble,
            };
            self.pause(tried, trouble)?;
        }
    }

    /// Waits after `trouble` of the try of that number, or gives it back where another makes no sense.
    pub(super) fn pause(&self, tried: u32, trouble: Trouble) -> Result<()> {
        // What is interrupted fails in many ways.
        self.cx().children.check()?;
        let (error, after) = match trouble {
            Trouble::Final(error) => return Err(error),
            Trouble::Again(error, after) => (error, after),
        };
        let salt = self
            .path
            .bytes()
            .fold(u64::from(tried), |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let Some(time) = retry::wait(tried, after, salt) else {
            return Err(error);
        };
        let seconds = time.as_secs_f64();
        self.cx().status("Retrying", format!("in {seconds:.1} s: {error}"));
        self.cx().children.pause(time)
    }

    /// The answer to a question that can be asked again; it is not one that may be better later.
    pub(super) fn ask(&self, ask: &Ask<'_>, body: Option<&[u8]>) -> Result<Answer> {
        self.again(|| {
            let payload = body.map_or(Payload::None, Payload::Bytes);
            let answer = self.once(ask, payload)?;
            match retry::is_transient(answer.status()) {
                true => Err(self.refused(ask.what, answer)),
                false => Ok(answer),
            }
        })
    }

    /// The answer to a question that is asked once, and once more where the registry wants to know
    /// who asks. Redirects of what is only read are followed.
    pub(super) fn once(&self, ask: &Ask<'_>, mut payload: Payload<'_>) -> Result<Answer, Trouble> {
        let origin = self.origin()?;
        let mut url = ask.url.clone();
        let (mut proved, mut redirects) = (false, 0);
        // That a blob leads elsewhere says that it is there; elsewhere, nobody is asked for that.
        let reads =
            ask.method == Method::GET || ask.method == Method::HEAD && !ask.url.contains("/blobs/");
        loop {
            // Whatever proves who asks is for the registry alone.
            let own = url::same_origin(&url, &origin);
            let proof = if own { self.proof(ask)? } else { None };
            let streams = matches!(payload, Payload::Stream(..));
            let answer = self.send(ask, &url, proof.as_ref(), &mut payload)?;
            match answer.status() {
                401 if own && !proved && self.renew(ask, &answer, proof.is_some())? => {
                    proved = true;
                    if streams {
                        let error = self.error(ask.what, "the registry asks again who asks");
                        return Err(Trouble::Again(error, None));
                    }
                }
                301 | 302 | 303 | 307 | 308 if reads => {
                    redirects += 1;
                    let to = answer.header("location").and_then(|to| url::resolve(&url, to));
                    url = to.filter(|_| redirects <= REDIRECTS).ok_or_else(|| {
                        self.error(ask.what, "the registry leads to a place that cannot be asked")
                    })?;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Sends one request.
    fn send(
        &self,
        ask: &Ask<'_>,
        url: &str,
        proof: Option<&Secret>,
        payload: &mut Payload<'_>,
    ) -> Result<Answer, Trouble> {
        let answer = self.request(&ask.method, url, &ask.headers, proof, payload);
        answer.map_err(|failure| self.broken(ask.what, &failure))
    }

    /// As [`Repository::send`], with the failure as it came.
    pub(super) fn request(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&'static str, String)],
        proof: Option<&Secret>,
        payload: &mut Payload<'_>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(proof) = proof {
            request = request.header("authorization", proof.reveal());
        }
        let agent = self.agent(url).map_err(|error| ureq::Error::Other(error.into()))?;
        let response = match payload {
            Payload::None => agent.run(request.body(())?),
            Payload::Bytes(bytes) => agent.run(request.body(*bytes)?),
            Payload::Stream(stream, len) => {
                let request = request.header("content-length", *len);
                agent.run(request.body(SendBody::from_reader(*stream))?)
            }
        }?;
        self.reached.store(true, Ordering::Relaxed);
        Ok(Answer::new(response))
    }

    /// What proves who asks, as far as the registry has said that it wants any.
    fn proof(&self, ask: &Ask<'_>) -> Result<Option<Secret>, Trouble> {
        let challenge = lock(&self.challenge).clone();
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.found()?.and_then(|found| found.credential.basic())),
            Some(Challenge::Bearer { realm, service }) => {
                let scope = ask.access.scope(&self.path);
                if let Some(token) = lock(&self.tokens).get(&scope) {
                    return Ok(Some(token.clone()));
                }
                let token = self.token(&realm, service.as_deref(), &scope)?;
                lock(&self.secrets).push(token.clone());
                let proof = Secret::new(format!("Bearer {}", token.reveal()));
                lock(&self.tokens).insert(scope, proof.clone());
                Ok(Some(proof))
            }
        }
    }

    /// Takes note of what the registry wants, and whether there is anything new to show to it.
    fn renew(&self, ask: &Ask<'_>, answer: &Answer, shown: bool) -> Result<bool, Trouble> {
        let Some(challenge) = answer.challenge() else {
            return Ok(false);
        };
        lock(&self.tokens).remove(&ask.access.scope(&self.path));
        let new = lock(&self.challenge).replace(challenge.clone()).as_ref() != Some(&challenge);
        match challenge {
            Challenge::Bearer { .. } => Ok(true),
            Challenge::Basic => {
                let found = self.found()?;
                let password = |credential: &Credential| credential.basic().is_some();
                Ok((new || !shown) && found.is_some_and(|found| password(&found.credential)))
            }
        }
    }

    /// Scheme and host of the registry. One that may be without TLS is asked how it is.
    pub(super) fn origin(&self) -> Result<String, Trouble> {
        if let Some(known) = self.origin.get() {
            return Ok(known.clone());
        }
        let host = self.server();
        let insecure =
            self.session.settings.insecure.iter().any(|named| named == host || named == &self.host);
        let schemes: &[&str] = match (url::is_loopback(host), insecure) {
            (true, _) => &["http", "https"],
            (false, true) => &["https", "http"],
            (false, false) => &["https"],
        };
        let mut failed = None;
        for scheme in schemes {
            let origin = format!("{scheme}://{host}");
            if schemes.len() > 1 {
                match self.answers(&origin) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(trouble) => {
                        failed = Some(trouble);
                        continue;
                    }
                }
            }
            return Ok(self.origin.get_or_init(|| origin).clone());
        }
        let what =
            || Trouble::Final(self.error("talk to the registry", "it speaks neither HTTP nor TLS"));
        Err(failed.unwrap_or_else(what))
    }

    /// Whether a registry answers there. A server with TLS answers plain HTTP with 400, and one
    /// without TLS breaks its greeting off.
    fn answers(&self, origin: &str) -> Result<bool, Trouble> {
        let url = format!("{origin}/v2/");
        let answer = self.request(&Method::GET, &url, &[], None, &mut Payload::None);
        match answer {
            Ok(answer) => Ok(answer.status() != 400),
            Err(failure) if is_plain(&failure) => Ok(false),
            Err(failure) => match self.broken("talk to the registry", &failure) {
                // A wrong certificate is no reason to go on without any.
                Trouble::Final(error) if origin.starts_with("https") => Err(Trouble::Final(error)),
                trouble => Err(trouble),
            },
        }
    }

    /// The address of something in this repository.
    pub(super) fn url(&self, rest: &str) -> Result<String, Trouble> {
        Ok(format!("{}/v2/{}/{rest}", self.origin()?, self.path))
    }
}
