//! The period in which a certificate is valid (RFC 5280, 4.1.2.5), as far as DER has to be read for
//! it.

use std::time::UNIX_EPOCH;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Returns the first and the last second in which a certificate is valid, in seconds since 1970; `None`
/// if it is not a certificate.
pub fn validity(certificate: &[u8]) -> Option<(u64, u64)> {
    let (certificate, _) = take_value(certificate, SEQUENCE)?;
    let (mut rest, _) = take_value(certificate, SEQUENCE)?;
    if let Some((_, after)) = take_value(rest, VERSION) {
        rest = after;
    }
    // Serial number, signature algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = take_value(rest, tag)?.1;
    }
    let (period, _) = take_value(rest, SEQUENCE)?;
    let (from, rest) = take_time(period)?;
    let (until, _) = take_time(rest)?;
    Some((from, until))
}

/// Returns the content of the value at the start of `bytes`, which must have that tag, and what follows
/// it.
fn take_value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn take_time(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (text, rest, century) = match take_value(bytes, GENERALIZED_TIME) {
        Some((text, rest)) => (text, rest, None),
        None => {
            let (text, rest) = take_value(bytes, UTC_TIME)?;
            // Two digits from 50 on are of the 20th century.
            (text, rest, Some(if text.first()? >= &b'5' { "19" } else { "20" }))
        }
    };
    let text = format!("{}{}", century.unwrap_or_default(), std::str::from_utf8(text).ok()?);
    if text.len() != 15 || !text.is_ascii() || !text.ends_with('Z') {
        return None;
    }
    let part = |from: usize, to: usize| &text[from..to];
    let date = format!("{}-{}-{}", part(0, 4), part(4, 6), part(6, 8));
    let clock = format!("{}:{}:{}", part(8, 10), part(10, 12), part(12, 14));
    let time = humantime::parse_rfc3339(&format!("{date}T{clock}Z")).ok();
    // A time before 1970 is as good as 1970.
    let seconds = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Some((seconds.map_or(0, |since| since.as_secs()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut out = vec![tag, 0x82];
        out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        out.extend(content);
        out
    }

    fn certificate(from: &[u8], until: &[u8]) -> Vec<u8> {
        let period = der(SEQUENCE, &[from, until]);
        let head = [der(VERSION, &[&[2, 1, 2]]), der(INTEGER, &[&[1; 20]])].concat();
        let names = [der(SEQUENCE, &[]), der(SEQUENCE, &[&[5; 200]])].concat();
        let inner = der(SEQUENCE, &[&head, &names, &period, &der(SEQUENCE, &[])]);
        der(SEQUENCE, &[&inner, &der(SEQUENCE, &[])])
    }

    #[test]
    fn both_forms_of_a_time() {
        let utc = der(UTC_TIME, &[b"700101000007Z"]);
        let general = der(GENERALIZED_TIME, &[b"20330518033320Z"]);
        assert_eq!(validity(&certificate(&utc, &general)), Some((7, 2_000_000_000)));
        let old = der(UTC_TIME, &[b"500101000000Z"]);
        let new = der(UTC_TIME, &[b"490101000000Z"]);
        assert_eq!(validity(&certificate(&old, &new)), Some((0, 2_493_072_000)));
    }

    #[test]
    fn truncated_and_invalid_certificates_are_rejected() {
        let good = certificate(
            &der(UTC_TIME, &[b"700101000007Z"]),
            &der(GENERALIZED_TIME, &[b"20330518033320Z"]),
        );
        for end in 0..good.len() {
            assert_eq!(validity(&good[..end]), None, "{end}");
        }
        for at in 0..good.len() {
            let mut invalid = good.clone();
            invalid[at] ^= 0xff;
            let _ = validity(&invalid);
        }
        for text in [&b"700101000007"[..], b"7001010000+0100", b"", b"\xff\xff"] {
            assert_eq!(validity(&certificate(&der(UTC_TIME, &[text]), &[])), None);
        }
    }
}
