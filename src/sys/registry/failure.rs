//! The errors of connections to a registry.

use std::{io, time::Duration};

use rustls::CertificateError;
use ureq::Error as Http;

use super::{Repository, answer::RegistryResponse, lock, pace::TooSlow};
use crate::{
    image::distribution::{proxy::Proxy, registry_error, retry},
    model::{
        error::{Error, Status},
        url,
    },
};

/// The most bytes of an error answer that are read.
const MAX_BODY: u64 = 64 << 10;

/// The error of a request, and whether to retry it.
#[derive(Debug)]
pub(in crate::sys) enum RequestError {
    /// It will not go better.
    Final(Error),
    /// A retry may succeed; after that time, if the registry sets one.
    Again(Error, Option<Duration>),
    /// The server was silent, or slower than the limits allow. Each try takes long.
    Slow(Error),
}

/// The number of tries of a request to a slow server.
const SLOW_TRIES: u32 = 2;

impl RequestError {
    /// Returns the error, and how long the server requests to wait before the next try.
    ///
    /// # Errors
    /// The error, if there should not be another try after the one of that number.
    pub(in crate::sys) fn retry(self, tried: u32) -> Result<(Error, Option<Duration>), Error> {
        match self {
            RequestError::Again(error, after) => Ok((error, after)),
            RequestError::Slow(error) if tried < SLOW_TRIES => Ok((error, None)),
            RequestError::Slow(error) | RequestError::Final(error) => Err(error),
        }
    }

    pub(super) fn into_error(self) -> Error {
        match self {
            RequestError::Final(error)
            | RequestError::Again(error, _)
            | RequestError::Slow(error) => error,
        }
    }
}

/// A request without an answer.
#[derive(Debug)]
pub(in crate::sys) struct Failure {
    /// The operation that failed.
    pub(in crate::sys) error: Http,
    /// The host of the request.
    host: Option<String>,
    /// The proxy of the request.
    proxy: Option<Box<Proxy>>,
}

impl From<Http> for Failure {
    fn from(error: Http) -> Self {
        Failure { error, host: None, proxy: None }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::from(Http::from(error))
    }
}

impl Failure {
    /// Returns the failure of a request for `url`.
    pub(in crate::sys) fn new(error: Http, url: &str, proxy: Option<Proxy>) -> Self {
        let host = url::origin(url).and_then(|origin| origin.split_once("://"));
        Failure { error, host: host.map(|(_, host)| host.to_owned()), proxy: proxy.map(Box::new) }
    }

    /// Returns whether the server does not speak TLS, or no certificate can be for such a host.
    pub(super) fn is_plain(&self) -> bool {
        let nameless = matches!(&self.error, Http::Tls(_));
        nameless || matches!(tls(&self.error), Some(rustls::Error::InvalidMessage(_)))
    }

    /// Returns whether the server took too long.
    pub(super) fn is_slow(&self) -> bool {
        matches!(cause(&self.error), Cause::Silent(_))
    }

    /// Returns whether nothing listens there.
    pub(super) fn is_refused(&self) -> bool {
        let rejected = io::ErrorKind::ConnectionRefused;
        self.proxy.is_none() && matches!(&self.error, Http::Io(error) if error.kind() == rejected)
    }

    /// Returns `why`, with the host if it is not `server`, and the proxy.
    pub(in crate::sys) fn explain(&self, server: &str, why: &str) -> String {
        let host = self.host.as_deref().filter(|host| *host != server);
        let host = host.map(|host| format!("`{}`: ", host.escape_debug())).unwrap_or_default();
        let proxy = self.proxy.as_ref().map(|proxy| format!(" (through {proxy})"));
        format!("{host}{why}{}", proxy.unwrap_or_default())
    }

    /// Returns the hint for a `server` that cannot be reached.
    pub(in crate::sys) fn unreachable_hint(&self, server: &str, running: &str) -> String {
        match &self.proxy {
            None => format!(
                "is the name `{server}` right{running}, and does the connection need `HTTPS_PROXY`?"
            ),
            Some(proxy) => format!(
                "is `{}` right, and does the proxy allow `{server}`? `NO_PROXY` names hosts that \
                 are connected to directly",
                proxy.variable
            ),
        }
    }
}

impl From<Error> for RequestError {
    fn from(error: Error) -> Self {
        RequestError::Final(error)
    }
}

impl Repository {
    /// Returns the error of an operation, such as `write the tag`, at this registry.
    pub(super) fn error(&self, what: &str, why: &str) -> Error {
        let host = &self.host;
        Error::new(Status::Registry, format!("`{host}`: cannot {what}: {}", self.redact(why)))
    }

    /// Returns the error for an answer that is not a success.
    pub(super) fn status_error(&self, what: &str, mut answer: RegistryResponse) -> RequestError {
        let (code, after) = (answer.status(), answer.retry_after());
        // A body that is too long or missing adds no message.
        let body = answer.read(MAX_BODY).ok().flatten().unwrap_or_default();
        let mut why = registry_error::status_name(code);
        if let Some(text) = registry_error::message(&body, |text| self.redact(text)) {
            why = format!("{why}: {text}");
        }
        let origin =
            lock(&self.found).as_ref().and_then(|found| found.as_ref().map(|f| f.origin.clone()));
        let mut error = self.error(what, &why);
        if let Some(hint) = registry_error::hint(&self.host, code, origin.as_deref()) {
            error = error.hint(hint);
        }
        match retry::is_transient(code) {
            true => RequestError::Again(error, after),
            false => RequestError::Final(error),
        }
    }

    /// Returns the error for a missing answer. URLs are not shown: they can contain credentials.
    pub(super) fn connection_error(&self, what: &str, failure: &Failure) -> RequestError {
        let host = self.server();
        let no_tls = format!("does `{host}` speak TLS? `--insecure {host}` allows plain HTTP");
        let error = |why: &str| self.error(what, &failure.explain(host, why));
        match cause(&failure.error) {
            Cause::Own(own) => RequestError::Final(own.duplicate()),
            Cause::Certificate(why, hint) => {
                RequestError::Final(error(&format!("TLS failed: {why}")).hint(hint))
            }
            Cause::Tls(why) => {
                RequestError::Final(error(&format!("TLS failed: {why}")).hint(no_tls))
            }
            Cause::Unreachable(why) => {
                let error =
                    error(&why).hint(failure.unreachable_hint(host, ", is the registry running"));
                // One that never was there is not waited for.
                let reached = self.reached.load(std::sync::atomic::Ordering::Relaxed);
                if reached { RequestError::Again(error, None) } else { RequestError::Final(error) }
            }
            Cause::Silent(why) => RequestError::Slow(error(why)),
            Cause::Broken(why) => RequestError::Again(error(why), None),
            Cause::Wrong(why) => RequestError::Final(error(why)),
        }
    }
}

/// The reason for a missing answer.
#[derive(Debug)]
pub(in crate::sys) enum Cause<'a> {
    /// An error of longshore, such as a file of certificates that cannot be read.
    Own(&'a Error),
    /// The server's certificate is not trusted: why, and what to do.
    Certificate(String, String),
    /// There is no TLS with it.
    Tls(String),
    /// There is no way to it.
    Unreachable(String),
    /// It does not answer, or too slowly.
    Silent(&'static str),
    /// The way to it, or back, broke.
    Broken(&'static str),
    /// The data is not an HTTP answer to the request.
    Wrong(&'static str),
}

/// Returns the cause of a failure.
pub(in crate::sys) fn cause(failure: &Http) -> Cause<'_> {
    if let Http::Other(own) = failure
        && let Some(own) = own.downcast_ref::<Error>()
    {
        return Cause::Own(own);
    }
    if let Some(tls) = tls(failure) {
        return match tls {
            rustls::Error::InvalidCertificate(reason) => {
                Cause::Certificate(tls.to_string(), certificate_hint(reason))
            }
            _ => Cause::Tls(tls.to_string()),
        };
    }
    let kind = match failure {
        Http::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<TooSlow>()) => {
            return Cause::Silent("the server is too slow");
        }
        Http::Io(error) => Some(error.kind()),
        _ => None,
    };
    let unreachable = |why: &str| Cause::Unreachable(why.to_owned());
    match failure {
        Http::Tls(_) => Cause::Tls("no certificate can be for a host of that name".to_owned()),
        Http::HostNotFound => unreachable("there is no such host"),
        Http::ConnectionFailed => unreachable("no connection"),
        Http::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            unreachable("no connection in time")
        }
        Http::ConnectProxyFailed(reported) => {
            // It ends with the status twice: `proxy server responded 407/407`.
            let status = reported.rsplit('/').next().and_then(|status| status.parse::<u16>().ok());
            Cause::Unreachable(match status {
                Some(407) => "the proxy requires valid credentials (407)".to_owned(),
                Some(status) => {
                    format!(
                        "the proxy rejects the connection ({})",
                        registry_error::status_name(status)
                    )
                }
                None => "the proxy does not answer".to_owned(),
            })
        }
        Http::Timeout(_) => Cause::Silent("the server is silent or too slow"),
        Http::Protocol(_) => Cause::Broken("the response is not HTTP, or is truncated"),
        _ => match kind {
            Some(io::ErrorKind::ConnectionRefused) => unreachable("the connection is refused"),
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                unreachable("the network is unreachable")
            }
            Some(_) => Cause::Broken("the connection broke"),
            None => Cause::Wrong("the response is not valid HTTP"),
        },
    }
}

/// Returns the problem with TLS, if that failed.
fn tls(failure: &Http) -> Option<&rustls::Error> {
    match failure {
        Http::Rustls(error) => Some(error),
        Http::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Returns the hint for a certificate that is not trusted.
fn certificate_hint(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has to be renewed, unless the clock of this machine is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is the clock of this machine right?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "use a name that the certificate is for; `--insecure` does not skip this check"
        }
        _ => {
            "if the registry has a certificate of a private authority, name that with `--ca FILE` or \
             `SSL_CERT_FILE`"
        }
    }
    .to_owned()
}
