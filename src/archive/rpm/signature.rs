//! Signatures of packages.

use super::{
    LEAD, LEAD_MAGIC,
    header::{Header, Value},
    tag,
};
use crate::model::error::{Error, Result};

/// Returns the lead and the signature header of a package, with an OpenPGP signature of its header. `lead` is
/// the lead that the package has, `signatures` the digests and signatures.
///
/// # Errors
/// It is not a signature of OpenPGP, or of an algorithm that rpm does not know.
pub fn with_signature(lead: &[u8], signatures: &Header, signature: Vec<u8>) -> Result<Vec<u8>> {
    if lead.len() != LEAD || !lead.starts_with(&LEAD_MAGIC) {
        return Err(Error::check("it is not an `.rpm`"));
    }
    // The algorithms of RFC 9580, section 9.1, and rpm's tags for them (`rpmSign` of rpm's `sign/rpmgensig.c`).
    let tag = match algorithm(&signature) {
        Some(1 | 3) => tag::SIGNATURE_RSA,
        Some(17 | 19 | 22 | 27 | 28) => tag::SIGNATURE_DSA,
        Some(other) => {
            return Err(Error::usage(format!("rpm knows no signatures of the algorithm {other}"))
                .hint("use a key of RSA or Ed25519"));
        }
        None => return Err(Error::tool("gpg wrote something else than a signature of OpenPGP")),
    };
    let mut signatures = signatures.clone();
    signatures.remove(tag::SIGNATURE_RSA);
    signatures.remove(tag::SIGNATURE_DSA);
    signatures.set(tag, Value::Bytes(signature));
    let mut bytes = lead.to_vec();
    bytes.extend(signatures.encode(tag::SIGNATURES)?);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    Ok(bytes)
}

/// Returns the number of the algorithm of a signature packet, of version 4 or 6 (RFC 9580, sections 4.2 and
/// 5.2.3).
fn algorithm(packet: &[u8]) -> Option<u8> {
    let (&first, rest) = packet.split_first()?;
    let body = match first {
        // The old form: the type, and the number of bytes of the length.
        0x88 => rest.get(1..)?,
        0x89 => rest.get(2..)?,
        0x8a => rest.get(4..)?,
        // The new form.
        0xc2 => match rest.first()? {
            0..=191 => rest.get(1..)?,
            192..=223 => rest.get(2..)?,
            255 => rest.get(5..)?,
            _ => return None,
        },
        _ => return None,
    };
    match body {
        [4 | 6, _, algorithm, ..] => Some(*algorithm),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_read_from_every_form_of_a_packet() {
        assert_eq!(algorithm(&[0x88, 0x75, 4, 0, 22, 8]), Some(22));
        assert_eq!(algorithm(&[0x89, 1, 0xb3, 4, 0, 1, 8]), Some(1));
        assert_eq!(algorithm(&[0xc2, 0x75, 4, 0, 22, 8]), Some(22));
        assert_eq!(algorithm(&[0xc2, 0xc0, 0x75, 6, 0, 27, 8]), Some(27));
        for bad in [&[][..], &[0x88], &[0x99, 1, 4, 0, 1], &[0x88, 1, 3, 0, 1], b"-----BEGIN PGP"] {
            assert_eq!(algorithm(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_signature_replaces_another() {
        let mut lead = LEAD_MAGIC.to_vec();
        lead.resize(LEAD, 0);
        let mut header = Header::default();
        header.set_text(tag::SIGNATURE_SHA256, "00");
        header.set(tag::SIGNATURE_DSA, Value::Bytes(vec![1]));
        let bytes = with_signature(&lead, &header, vec![0x89, 1, 0xb3, 4, 0, 1, 8]).unwrap();
        assert_eq!(bytes.len() % 8, 0);
        let (read, _) = Header::read(&mut &bytes[LEAD..], tag::SIGNATURES, true).unwrap();
        assert!(
            read.bytes(tag::SIGNATURE_RSA).is_some() && read.bytes(tag::SIGNATURE_DSA).is_none()
        );
        assert_eq!(read.text(tag::SIGNATURE_SHA256), Some("00"));
        let error = with_signature(&lead, &header, vec![0x88, 1, 4, 0, 99]).unwrap_err();
        assert!(error.to_string().contains("algorithm 99"), "{error}");
    }
}
