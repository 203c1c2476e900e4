//! The message authentication code of a cache, by which its readers recognise that it was saved with
//! their secret.

use super::CacheHeader;
use crate::model::{
    digest::{Digest, Hasher},
    error::{Error, Result},
    secret::Secret,
};

/// The variable that holds the secret. Children do not inherit it; see [`crate::model::withheld`].
pub const SECRET: &str = "LONGSHORE_CACHE_SECRET";

/// The minimum length of a secret: shorter ones can be found by brute force from a cache.
const MIN_LENGTH: usize = 16;

/// The block of SHA-256 in bytes.
const BLOCK_SIZE: usize = 64;

/// Separates these codes from others that are made with the same secret.
const DOMAIN: &[u8] = b"longshore cache\0";

/// Parses the value of [`SECRET`]; a secret that is too short is an error.
///
/// # Errors
/// It is too short.
pub fn parse_secret(value: &str) -> Result<Secret> {
    let len = value.len();
    if len >= MIN_LENGTH {
        return Ok(Secret::new(value));
    }
    Err(Error::usage(format!("`{SECRET}` has {len} bytes, expected at least {MIN_LENGTH}"))
        .hint("make one with `openssl rand -hex 32`"))
}

impl CacheHeader {
    /// Returns the code of this header and, by the digest in it, of its archive.
    ///
    /// # Errors
    /// The header cannot be written as JSON.
    pub fn authentication_code(&self, secret: &Secret) -> Result<Digest> {
        let unsigned = CacheHeader { mac: None, ..self.clone() };
        let text = serde_json::to_vec(&unsigned)
            .map_err(|error| Error::build("cannot write JSON").because(error))?;
        Ok(hmac(secret.reveal().as_bytes(), &[DOMAIN, &text]))
    }
}

/// Returns the HMAC with SHA-256 (RFC 2104) of the concatenated parts.
fn hmac(key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut padded = [0; BLOCK_SIZE];
    let digest = Digest::sha256(key);
    let key = if key.len() > BLOCK_SIZE { digest.bytes() } else { key };
    padded.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let hash = |pad: u8, parts: &[&[u8]]| {
        let mut hasher = Hasher::default();
        hasher.update(&padded.map(|byte| byte ^ pad));
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finish().0
    };
    let inner = hash(0x36, parts);
    hash(0x5c, &[inner.bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the codes with RFC 4231, test cases 1, 2 and 6.
    #[test]
    fn codes_are_those_of_the_specification() {
        for (key, text, code) in [
            (
                vec![0x0b; 20],
                "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let (first, second) = text.as_bytes().split_at(5);
            assert_eq!(hmac(&key, &[first, second]).hex(), code);
        }
    }

    #[test]
    fn a_short_secret_is_an_error() {
        assert!(parse_secret(&"x".repeat(16)).is_ok());
        let error = parse_secret("x").unwrap_err();
        assert!(error.to_string().contains("expected at least 16"), "{error}");
    }
}
