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
pub(super) enum Trouble {
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
        let reached = self.reached.load(std::sync::atomic::Ordering::Relaxed);
        let of_io = match failure {
            Http::Io(error) => Some(error),
            _ => None,
        };
        if let Http::Other(own) = failure
            && let Some(own) = own.downcast_ref::<Error>()
        {
            return Trouble::Final(own.again());
        }
        let no_tls = format!("does `{host}` speak TLS? `--insecure {host}` allows plain HTTP");
        if let Some(tls) = tls(failure) {
            let error = self.error(what, &format!("TLS failed: {tls}"));
            return Trouble::Final(match tls {
                rustls::Error::InvalidCertificate(_) => error.hint(
                    "if the registry has a certificate of your own authority, name that with `--ca FILE` \
                     or `SSL_CERT_FILE`",
                ),
                _ => error.hint(no_tls),
            });
        }
        if let Http::Tls(_) = failure {
            let why = "TLS failed: no certificate can be for a host of that name";
            return Trouble::Final(self.error(what, why).hint(no_tls));
        }
        let unreachable = |why: &str| {
            let error = self.error(what, why).hint(format!(
                "is the name `{host}` right, is the registry running, and does the way to it need \
                 `HTTPS_PROXY`?"
            ));
            // One that never was there is not waited for.
            if reached { Trouble::Again(error, None) } else { Trouble::Final(error) }
        };
        match failure {
            Http::HostNotFound => unreachable("there is no such host"),
            Http::ConnectionFailed => unreachable("no connection"),
            Http::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                unreachable("no connection in time")
            }
            Http::ConnectProxyFailed(_) => unreachable("the proxy refuses"),
            Http::InvalidProxyUrl => unreachable("the address of the proxy is wrong"),
            Http::Timeout(_) => Trouble::Again(self.error(what, "the registry is silent"), None),
            _ => match of_io.map(io::Error::kind) {
                Some(io::ErrorKind::ConnectionRefused) => unreachable("the connection is refused"),
                Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                    unreachable("there is no way to it")
                }
                Some(_) => Trouble::Again(self.error(what, "the connection broke"), None),
                None if matches!(failure, Http::Protocol(_)) => Trouble::Again(
                    self.error(what, "the answer is no HTTP, or was cut short"),
                    None,
                ),
                None => {
                    Trouble::Final(self.error(what, "the answer is no such HTTP as was asked for"))
                }
            },
        }
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
