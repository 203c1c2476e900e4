//! Requests and answers: authentication, retries, and redirects.

use std::{io::Read, sync::atomic::Ordering};

use ureq::{
    SendBody,
    http::{Method, Request},
};

use super::{
    Access, Connection, Failure, Paced, Repository, answer::RegistryResponse,
    failure::RequestError, lock,
};
use crate::{
    image::distribution::{Challenge, Credential, retry},
    model::{error::Result, secret::Secret, url},
};

/// The redirects that are followed.
const REDIRECTS: u32 = 5;

/// A request to a registry.
#[derive(Clone, Debug)]
pub(super) struct RegistryRequest<'a> {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) access: Access<'a>,
    /// Its purpose, as in `cannot …`.
    pub(super) what: &'a str,
}

/// The body of a request.
pub(super) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// A stream of that many bytes, which can be read once.
    Stream(&'a mut dyn Read, u64),
}

impl Repository {
    /// Calls `once`, and retries as long as that may help.
    pub(super) fn retry<T>(&self, mut once: impl FnMut() -> Result<T, RequestError>) -> Result<T> {
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
    pub(super) fn pause(&self, tried: u32, trouble: RequestError) -> Result<()> {
        // An interrupted request fails in many ways.
        self.cx().children.check()?;
        let (error, after) = trouble.retry(tried)?;
        let salt = self
            .path
            .bytes()
            .fold(u64::from(tried), |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let Some(time) = retry::wait_time(tried, after, salt) else {
            return Err(error);
        };
        let seconds = time.as_secs_f64();
        self.cx().status("Retrying", format!("in {seconds:.1} s: {error}"));
        self.cx().children.pause(time)
    }

    /// Returns the answer to a request that can be repeated, after retries of transient failures.
    pub(super) fn send_with_retries(
        &self,
        ask: &RegistryRequest<'_>,
        body: Option<&[u8]>,
    ) -> Result<RegistryResponse> {
        self.retry(|| {
            let payload = body.map_or(Payload::None, Payload::Bytes);
            let answer = self.send_once(ask, payload)?;
            match retry::is_transient(answer.status()) {
                true => Err(self.status_error(ask.what, answer)),
                false => Ok(answer),
            }
        })
    }

    /// Returns the answer to a request that is sent once, and once more if the registry requires
    /// authentication. Redirects of requests that only read are followed.
    pub(super) fn send_once(
        &self,
        ask: &RegistryRequest<'_>,
        mut payload: Payload<'_>,
    ) -> Result<RegistryResponse, RequestError> {
        let origin = self.origin()?;
        let mut url = ask.url.clone();
        let (mut proved, mut redirects) = (false, 0);
        // A redirect of a blob shows that it exists; the check for its existence does not follow it.
        let reads =
            ask.method == Method::GET || ask.method == Method::HEAD && !ask.url.contains("/blobs/");
        loop {
            // Credentials are for the registry alone.
            let own = url::is_same_origin(&url, &origin);
            let proof = if own { self.authorization(ask)? } else { None };
            let streams = matches!(payload, Payload::Stream(..));
            let answer = self.send(ask, &url, proof.as_ref(), &mut payload)?;
            match answer.status() {
                401 if own
                    && !proved
                    && self.update_authorization(ask, &answer, proof.is_some())? =>
                {
                    proved = true;
                    if streams {
                        let error =
                            self.error(ask.what, "the registry requests authentication again");
                        return Err(RequestError::Again(error, None));
                    }
                }
                301 | 302 | 303 | 307 | 308 if reads => {
                    redirects += 1;
                    if redirects > REDIRECTS {
                        return Err(self.error(ask.what, "there are too many redirects").into());
                    }
                    let to = answer.header("location").unwrap_or_default();
                    url =
                        url::resolve(&url, to).map_err(|bad| self.location_error(ask.what, bad))?;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Sends one request.
    fn send(
        &self,
        ask: &RegistryRequest<'_>,
        url: &str,
        proof: Option<&Secret>,
        payload: &mut Payload<'_>,
    ) -> Result<RegistryResponse, RequestError> {
        let answer = self.request(&ask.method, url, &ask.headers, proof, payload);
        answer.map_err(|failure| self.connection_error(ask.what, &failure))
    }

    /// Sends like [`Repository::send`], with the failure as it came.
    pub(super) fn request(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&'static str, String)],
        proof: Option<&Secret>,
        payload: &mut Payload<'_>,
    ) -> Result<RegistryResponse, Failure> {
        let connection = self.connection(url).map_err(|error| ureq::Error::Other(error.into()))?;
        let answer = self.run(&connection, method, url, headers, proof, payload);
        let answer = answer.map_err(|error| Failure::new(error, url, connection.proxy))?;
        self.reached.store(true, Ordering::Relaxed);
        Ok(answer)
    }

    fn run(
        &self,
        connection: &Connection,
        method: &Method,
        url: &str,
        headers: &[(&'static str, String)],
        proof: Option<&Secret>,
        payload: &mut Payload<'_>,
    ) -> Result<RegistryResponse, ureq::Error> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(proof) = proof {
            request = request.header("authorization", proof.reveal());
        }
        let limits = &self.session.settings.limits;
        let agent = &connection.agent;
        let response = match payload {
            Payload::None if [Method::GET, Method::HEAD].contains(method) => {
                let request = agent.configure_request(request.body(())?);
                agent.run(request.timeout_recv_response(Some(limits.read)).build())
            }
            Payload::None => agent.run(request.body(())?),
            Payload::Bytes(bytes) => agent.run(request.body(*bytes)?),
            Payload::Stream(stream, len) => {
                let mut stream = Paced::sent(&mut **stream, limits);
                let request = request.header("content-length", *len);
                agent.run(request.body(SendBody::from_reader(&mut stream))?)
            }
        }?;
        Ok(RegistryResponse::new(response, limits))
    }

    /// Returns the credential or token to send, if the registry has requested authentication.
    fn authorization(&self, ask: &RegistryRequest<'_>) -> Result<Option<Secret>, RequestError> {
        let challenge = lock(&self.challenge).clone();
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => {
                Ok(self.credential()?.and_then(|found| found.credential.basic()))
            }
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

    /// Records the authentication that the registry requires; returns whether there is a new credential to
    /// send.
    fn update_authorization(
        &self,
        ask: &RegistryRequest<'_>,
        answer: &RegistryResponse,
        shown: bool,
    ) -> Result<bool, RequestError> {
        let Some(challenge) = answer.challenge() else {
            return Ok(false);
        };
        lock(&self.tokens).remove(&ask.access.scope(&self.path));
        let new = lock(&self.challenge).replace(challenge.clone()).as_ref() != Some(&challenge);
        match challenge {
            Challenge::Bearer { .. } => Ok(true),
            Challenge::Basic => {
                let found = self.credential()?;
                let password = |credential: &Credential| credential.basic().is_some();
                Ok((new || !shown) && found.is_some_and(|found| password(&found.credential)))
            }
        }
    }
}
