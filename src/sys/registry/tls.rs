//! Connections: whom they trust, how long they wait, and what ends them.

use std::{sync::Arc, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem},
};

use super::{Repository, Session, lock};
use crate::{
    distribution::url,
    error::{Error, Result},
    sys::fs,
};

/// How long a name or a connection may take.
const CONNECT: Duration = Duration::from_secs(20);

/// How long a connection may be silent: a registry may take its time over a large blob.
const SILENT: Duration = Duration::from_secs(120);

/// How long a connection may take nothing.
const STUCK: Duration = Duration::from_secs(60);

/// The largest header of an answer.
const HEADER: usize = 64 << 10;

impl Session {
    fn tls(&self) -> Result<TlsConfig> {
        if let Some(known) = self.tls.get() {
            return Ok(known.clone());
        }
        let config = trust(&self.settings.ca)?;
        Ok(self.tls.get_or_init(|| config).clone())
    }
}

/// Trust in whom the system trusts, and in the certificates of the files `ca`.
///
/// # Errors
/// One of the files cannot be read, or has no certificate.
pub(in crate::sys) fn trust(ca: &[Utf8PathBuf]) -> Result<TlsConfig> {
    let mut roots: Vec<Certificate<'static>> = Vec::new();
    // `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured there, as by OpenSSL.
    for certificate in rustls_native_certs::load_native_certs().certs {
        roots.push(Certificate::from_der(&certificate).to_owned());
    }
    if roots.is_empty() {
        let bundle = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        roots.extend(bundle.iter().map(|der| Certificate::from_der(der).to_owned()));
    }
    for path in ca {
        roots.extend(certificates(path)?);
    }
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::from(roots))
        .build())
}

/// The certificates of a file, of which there has to be one.
fn certificates(path: &Utf8Path) -> Result<Vec<Certificate<'static>>> {
    let wrong = || {
        Error::usage(format!("`{path}` is no file of certificates"))
            .hint("it begins with `-----BEGIN CERTIFICATE-----`")
    };
    let text = fs::read(path)?;
    let mut found = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| wrong())? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(wrong()) } else { Ok(found) }
}

impl Repository {
    /// The connections that a URL is asked through. An interrupt ends them.
    pub(super) fn agent(&self, url: &str) -> Result<Agent> {
        let secure = url.starts_with("https://");
        let mut agents = lock(&self.agents);
        if let Some((agent, _)) = agents.get(&secure) {
            return Ok(agent.clone());
        }
        let tls = if secure { Some(self.session.tls()?) } else { None };
        let agent = connect(tls, url::is_loopback(self.server()));
        let ends = agent.clone();
        let hook = self.cx().children.when_interrupted(move || ends.clone().shutdown());
        agents.insert(secure, (agent.clone(), hook));
        Ok(agent)
    }
}

/// New connections, with TLS or without; `direct` ones ask no proxy.
pub(in crate::sys) fn connect(tls: Option<TlsConfig>, direct: bool) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(false)
        // Each is looked at: whether it leads to a place that may be asked, and as whom.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(HEADER)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(SILENT))
        .timeout_per_write(Some(STUCK));
    if let Some(tls) = tls {
        config = config.tls_config(tls);
    }
    if direct {
        config = config.proxy(None);
    }
    config.build().new_agent()
}
