//! The trusted certificates.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use ureq::tls::{PemItem, parse_pem};

use super::Session;
use crate::{
    image::distribution::validity::validity,
    model::error::{Error, Result},
    sys::fs,
};

impl Session {
    /// Returns the configuration of TLS for all connections of the session.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>> {
        if let Some(known) = self.tls.get() {
            return Ok(known.clone());
        }
        let config = trust(&self.settings.ca)?;
        Ok(self.tls.get_or_init(|| config).clone())
    }
}

/// Returns a configuration of TLS that trusts the system's certificates, and those of the files `ca`.
///
/// # Errors
/// One of the files cannot be read, or has no certificate.
pub(in crate::sys) fn trust(ca: &[Utf8PathBuf]) -> Result<Arc<ClientConfig>> {
    // `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured there, as by OpenSSL.
    let mut roots = rustls_native_certs::load_native_certs().certs;
    if roots.is_empty() {
        let bundle = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        roots.extend(bundle.iter().map(|root| root.clone().into_owned()));
    }
    for path in ca {
        roots.extend(certificates(path)?);
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    let failed = |why: String| Error::usage(format!("TLS cannot be set up: {why}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let verifier = Arc::new(Verifier { chains, exact: roots });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Returns the certificates of a file, which must have at least one.
fn certificates(path: &Utf8Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = || {
        Error::usage(format!("`{path}` is not a file of certificates"))
            .hint("it begins with `-----BEGIN CERTIFICATE-----`")
    };
    let text = fs::read(path)?;
    let mut found = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| wrong())? {
            found.push(CertificateDer::from(certificate.der().to_vec()));
        }
    }
    if found.is_empty() { Err(wrong()) } else { Ok(found) }
}

/// Accepts a chain to a trusted certificate, and a server's own certificate that is itself trusted, as
/// Go and OpenSSL do: many a registry has a certificate that signed itself. Name and period are checked
/// for both.
#[derive(Debug)]
struct Verifier {
    chains: Arc<WebPkiServerVerifier>,
    exact: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if !self.exact.contains(end_entity) {
            let chains = &self.chains;
            return chains.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
        }
        let (from, until) = validity(end_entity).ok_or(CertificateError::BadEncoding)?;
        if now.as_secs() < from {
            return Err(CertificateError::NotValidYet.into());
        }
        if now.as_secs() > until {
            return Err(CertificateError::Expired.into());
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
