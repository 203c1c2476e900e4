//! What goes wrong between here and a registry.

use std::{io, time::Duration};

use ureq::Error as Http;

use super::{Repository, answer::Answer, lock};
use crate::{
    distribution::{refusal, retry},
    error::{Error, Status},
};

/// The most of a refusal that is read.
const BODY: u64 = 64 << 10;

/// Why something was not done, and whether to try it again.
#[derive(Debug)]
pub(in crate::sys) enum Trouble {
    /// It will not go better.
    Final(Error),
    /// It may go well later; after so long, where the registry says so.
    Again(Error, Option<Duration>),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Final(error)
    }
}

impl Repository {
    /// What is wrong with `what`, such as `write the tag`, at this registry.
    pub(super) fn error(&self, what: &str, why: &str) -> Error {
        let host = &self.host;
        Error::new(Status::Registry, format!("`{host}`: cannot {what}: {}", self.redact(why)))
    }

    /// An answer that is no success.
    pub(super) fn refused(&self, what: &str, mut answer: Answer) -> Trouble {
        let (code, after) = (answer.status(), answer.after());
        // A body that is too long or does not come says nothing.
        let body = answer.read(BODY).ok().flatten().unwrap_or_default();
        let mut why = refusal::status(code);
        if let Some(text) = refusal::text(&body, |text| self.redact(text)) {
            why = format!("{why}: {text}");
        }
        let origin =
            lock(&self.found).as_ref().and_then(|found| found.as_ref().map(|f| f.origin.clone()));
        let mut error = self.error(what, &why);
        if let Some(hint) = refusal::hint(&self.host, code, origin.as_deref()) {
            error = error.hint(hint);
        }
        match retry::is_transient(code) {
            true => Trouble::Again(error, after),
            false => Trouble::Final(error),
        }
    }

    /// No answer came. URLs are not told: they can hold what lets others in.
    pub(super) fn broken(&self, what: &str, failure: &Http) -> Trouble {
        let host = self.server();
        let no_tls = format!("does `{host}` speak TLS? `--insecure {host}` allows plain HTTP");
        match cause(failure) {
            Cause::Own(own) => Trouble::Final(own.again()),
            Cause::Certificate(why) => {
                Trouble::Final(self.error(what, &format!("TLS failed: {why}")).hint(
                    "if the registry has a certificate of your own authority, name that with `--ca FILE` \
                     or `SSL_CERT_FILE`",
                ))
            }
            Cause::Tls(why) => {
                Trouble::Final(self.error(what, &format!("TLS failed: {why}")).hint(no_tls))
            }
            Cause::Unreachable(why) => {
                let error = self.error(what, why).hint(format!(
                    "is the name `{host}` right, is the registry running, and does the way to it need \
                     `HTTPS_PROXY`?"
                ));
                // One that never was there is not waited for.
                let reached = self.reached.load(std::sync::atomic::Ordering::Relaxed);
                if reached { Trouble::Again(error, None) } else { Trouble::Final(error) }
            }
            Cause::Silent => Trouble::Again(self.error(what, "the registry is silent"), None),
            Cause::Broken(why) => Trouble::Again(self.error(what, why), None),
            Cause::Wrong(why) => Trouble::Final(self.error(what, why)),
        }
    }
}

/// Why no answer came.
#[derive(Debug)]
pub(in crate::sys) enum Cause<'a> {
    /// An error of our own, such as a file of certificates that cannot be read.
    Own(&'a Error),
    /// The server's certificate is not trusted.
    Certificate(String),
    /// There is no TLS with it.
    Tls(String),
    /// There is no way to it.
    Unreachable(&'static str),
    /// It does not answer.
    Silent,
    /// The way to it, or back, broke.
    Broken(&'static str),
    /// What came is none of HTTP that was asked for.
    Wrong(&'static str),
}

/// What is behind a failure.
pub(in crate::sys) fn cause(failure: &Http) -> Cause<'_> {
    if let Http::Other(own) = failure
        && let Some(own) = own.downcast_ref::<Error>()
    {
        return Cause::Own(own);
    }
    if let Some(tls) = tls(failure) {
        return match tls {
            rustls::Error::InvalidCertificate(_) => Cause::Certificate(tls.to_string()),
            _ => Cause::Tls(tls.to_string()),
        };
    }
    let kind = match failure {
        Http::Io(error) => Some(error.kind()),
        _ => None,
    };
    match failure {
        Http::Tls(_) => Cause::Tls("no certificate can be for a host of that name".to_owned()),
        Http::HostNotFound => Cause::Unreachable("there is no such host"),
        Http::ConnectionFailed => Cause::Unreachable("no connection"),
        Http::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            Cause::Unreachable("no connection in time")
        }
        Http::ConnectProxyFailed(_) => Cause::Unreachable("the proxy refuses"),
        Http::InvalidProxyUrl => Cause::Unreachable("the address of the proxy is wrong"),
        Http::Timeout(_) => Cause::Silent,
        Http::Protocol(_) => Cause::Broken("the answer is no HTTP, or was cut short"),
        _ => match kind {
            Some(io::ErrorKind::ConnectionRefused) => {
                Cause::Unreachable("the connection is refused")
            }
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                Cause::Unreachable("there is no way to it")
            }
            Some(_) => Cause::Broken("the connection broke"),
            None => Cause::Wrong("the answer is no such HTTP as was asked for"),
        },
    }
}

/// What is wrong with TLS, where that is what failed.
fn tls(failure: &Http) -> Option<&rustls::Error> {
    match failure {
        Http::Rustls(error) => Some(error),
        Http::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Whether what answers speaks no TLS.
pub(super) fn is_plain(failure: &Http) -> bool {
    matches!(tls(failure), Some(rustls::Error::InvalidMessage(_)))
}
