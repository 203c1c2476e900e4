//! The servers to connect to, and the ones without TLS.

use ureq::http::Method;

use super::{Repository, call::Payload, failure::RequestError};
use crate::model::{
    error::Error,
    url::{self, LocationError},
};

const PURPOSE: &str = "talk to the registry";

impl Repository {
    /// Returns scheme and host of the registry. One that may be without TLS is probed for the scheme
    /// that it uses.
    pub(super) fn origin(&self) -> Result<String, RequestError> {
        if let Some(known) = self.origin.get() {
            return Ok(known.clone());
        }
        let host = self.server();
        let insecure = self.is_insecure(host) || self.is_insecure(&self.host);
        let (secure, plain) = (format!("https://{host}"), format!("http://{host}"));
        let origin = if url::is_loopback(host) {
            self.plain_or_secure(plain, secure)?
        } else if insecure {
            self.secure_or_plain(secure, plain)?
        } else {
            secure
        };
        Ok(self.origin.get_or_init(|| origin).clone())
    }

    /// Returns the URL of a resource in this repository.
    pub(super) fn url(&self, rest: &str) -> Result<String, RequestError> {
        Ok(format!("{}/v2/{}/{rest}", self.origin()?, self.path))
    }

    /// Returns whether `--insecure` names the host.
    pub(super) fn is_insecure(&self, host: &str) -> bool {
        self.session.settings.insecure.iter().any(|named| named == host)
    }

    /// Returns `plain`, if a server on this machine answers there without TLS; else `secure`. One with
    /// TLS answers 400 to plain HTTP, or not in HTTP at all.
    fn plain_or_secure(&self, plain: String, secure: String) -> Result<String, RequestError> {
        let url = format!("{plain}/v2/");
        let broken = match self.request(&Method::GET, &url, &[], None, &mut Payload::None) {
            Ok(answer) if answer.status() != 400 => return Ok(plain),
            Ok(_) => None,
            Err(failure) if failure.is_slow() => {
                return Err(self.connection_error(PURPOSE, &failure));
            }
            Err(failure) => Some(failure),
        };
        let url = format!("{secure}/v2/");
        match self.request(&Method::GET, &url, &[], None, &mut Payload::None) {
            Ok(_) => Ok(secure),
            Err(failure) if failure.is_plain() => Err(match broken {
                // It has no TLS, so what broke was an answer without.
                Some(broken) => self.connection_error(PURPOSE, &broken),
                None => self.error(PURPOSE, "the answer is neither HTTP nor TLS").into(),
            }),
            Err(failure) => Err(self.connection_error(PURPOSE, &failure)),
        }
    }

    /// Returns `secure`, if a server answers there with TLS; `plain`, if the server there does not
    /// speak TLS. Every other failure is final, since an attacker who can cause it would otherwise get
    /// the password: a certificate that is not trusted, an alert, a connection that breaks.
    fn secure_or_plain(&self, secure: String, plain: String) -> Result<String, RequestError> {
        let url = format!("{secure}/v2/");
        match self.request(&Method::GET, &url, &[], None, &mut Payload::None) {
            Ok(_) => Ok(secure),
            Err(failure) if failure.is_plain() || failure.is_refused() => Ok(plain),
            Err(failure) => Err(self.connection_error(PURPOSE, &failure)),
        }
    }

    /// Returns the URL at which tokens are requested. Credentials go there, so it has TLS, unless it is
    /// on this machine, as the registry is, or `--insecure` names its host. A registry elsewhere cannot
    /// direct them to an address of this machine or of its local network.
    pub(super) fn realm(&self, what: &str, realm: &str) -> Result<String, RequestError> {
        let bad = || self.error(what, "the registry names a token server that cannot be used");
        let base = self.origin()?;
        let realm = match url::resolve(&base, realm) {
            Ok(realm) => realm,
            // It is checked below.
            Err(LocationError::Downgrade) => realm.trim().to_owned(),
            Err(LocationError::Malformed) => return Err(bad().into()),
        };
        let host = url::origin(&realm).and_then(|origin| origin.split_once("://"));
        let (scheme, host) = host.ok_or_else(bad)?;
        if self.is_insecure(host) || url::is_same_origin(&realm, &base) {
            return Ok(realm);
        }
        let own = url::is_private(self.server());
        let error = if url::is_private(host) && !own {
            self.error(
                what,
                &format!("the token server `{host}` is on this machine or its network"),
            )
        } else if scheme == "https" || url::is_loopback(host) && url::is_loopback(self.server()) {
            return Ok(realm);
        } else {
            self.error(what, &format!("the token server `{host}` uses plain HTTP"))
        };
        Err(error.hint(format!("`--insecure {host}` allows that")).into())
    }

    /// Returns the error for a location of the registry that is not followed.
    pub(super) fn location_error(&self, what: &str, bad: LocationError) -> Error {
        let host = self.server();
        match bad {
            LocationError::Malformed => {
                self.error(what, "the `Location` that the registry names is not a URL")
            }
            LocationError::Downgrade => self
                .error(what, "the registry is reached over TLS, and its `Location` is `http://`")
                .hint(format!(
                    "a proxy that terminates TLS for `{host}` must set `X-Forwarded-Proto: https` and \
                     pass `Host` on; for CNCF Distribution `http.host` or `http.relativeurls` help, too"
                )),
        }
    }
}
