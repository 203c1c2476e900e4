//! minisign's keys and signatures (<https://jedisct1.github.io/minisign/>, "Signature format").

use std::io::Cursor;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use minisign::{PublicKey, SecretKey, SecretKeyBox, SignatureBox};

use crate::model::{
    error::{Error, Result},
    secret::Secret,
};

/// The start of each of its files.
const COMMENT: &str = "untrusted comment:";

/// The size of a public key in bytes: algorithm, key number, key.
const PUBLIC_KEY_SIZE: usize = 2 + 8 + 32;

/// The size of a secret key in bytes: three algorithms, salt and limits of the key derivation, key number, key,
/// checksum.
const SECRET_KEY_SIZE: usize = 2 + 2 + 2 + 32 + 8 + 8 + 8 + 64 + 32;

/// The size of a signature in bytes: algorithm, key number, signature.
const SIGNATURE_SIZE: usize = 2 + 8 + 64;

/// Returns the key in a file: the first line that is not a comment.
fn key_bytes(text: &str) -> Option<Vec<u8>> {
    let line = text.lines().map(str::trim).find(|line| {
        let comment = line.starts_with(COMMENT) || line.starts_with("trusted comment:");
        !line.is_empty() && !comment
    });
    BASE64_STANDARD.decode(line?).ok()
}

/// A public key: a file of minisign's, or the line in it.
#[derive(Clone, Debug)]
pub struct Verifier(PublicKey);

impl Verifier {
    /// Returns whether `text` looks like the input of [`Verifier::new`], and not like another kind of key.
    pub fn accepts(text: &str) -> bool {
        let key = |bytes: Vec<u8>| bytes.len() == PUBLIC_KEY_SIZE && bytes.starts_with(b"Ed");
        text.starts_with(COMMENT) || key_bytes(text).is_some_and(key)
    }

    /// Parses a public key. `name` is its name in errors.
    ///
    /// # Errors
    /// It is none.
    pub fn new(name: &str, text: &str) -> Result<Self> {
        let bytes = key_bytes(text).unwrap_or_default();
        let bad = |why: &str| {
            Error::usage(format!("`{name}` is not a public key of minisign's: {why}"))
                .hint("`minisign -G` makes a pair of keys; the public one is in `minisign.pub`")
        };
        match bytes.len() {
            PUBLIC_KEY_SIZE if bytes.starts_with(b"Ed") => {}
            SECRET_KEY_SIZE => return Err(bad("it is a secret key, which must not be shared")),
            SIGNATURE_SIZE => return Err(bad("it is a signature")),
            _ => return Err(bad("it has none")),
        }
        let key = PublicKey::from_bytes(&bytes).map_err(|error| bad(&error.to_string()))?;
        Ok(Verifier(key))
    }

    /// Checks the signature `text` over `data`, and returns its trusted comment. `name` is the signature's name in
    /// errors.
    ///
    /// # Errors
    /// It is not a signature, or one of a different key or different data.
    pub fn verify(&self, name: &str, text: &str, data: &[u8]) -> Result<String> {
        let bad = |why: &str| {
            Error::check(format!("`{name}` does not sign this: {why}"))
                .hint("do not use these files: fetch them again, and the key from a trusted source")
        };
        let lines: Vec<&str> = text.lines().collect();
        let [_, signature, comment, global] = lines[..] else {
            return Err(bad("it has not four lines"));
        };
        let len = |line: &str| BASE64_STANDARD.decode(line).map(|bytes| bytes.len());
        // The library takes these lengths for granted.
        if len(signature) != Ok(SIGNATURE_SIZE) || len(global) != Ok(64) {
            return Err(bad("it is not a signature of minisign's"));
        }
        if comment.trim_end() != comment {
            return Err(bad("its comment ends in a space"));
        }
        let signature = SignatureBox::from_string(text)
            .map_err(|_| bad("it is not a signature of minisign's"))?;
        if signature.keynum() != self.0.keynum() {
            let is = number(signature.keynum());
            return Err(bad(&format!(
                "it is of the key {is}, and not {}",
                number(self.0.keynum())
            )));
        }
        minisign::verify(&self.0, &signature, Cursor::new(data), true, false, true)
            .map_err(|error| bad(&error.to_string().to_lowercase()))?;
        signature.trusted_comment().map_err(|_| bad("its comment is not UTF-8"))
    }
}

/// Formats a key's number as minisign does.
fn number(bytes: &[u8]) -> String {
    bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

/// A secret key in the form of its file.
pub struct StoredKey {
    name: String,
    bytes: Vec<u8>,
    encrypted: bool,
}

/// Prints the type only, never the key.
impl std::fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Locked").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A secret key that can sign.
pub struct Signer(SecretKey);

/// Prints the type only, never the key, which the library's own `Debug` prints.
impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl StoredKey {
    /// Parses a secret key; `name` is its name in errors.
    ///
    /// # Errors
    /// It is none.
    pub fn new(name: &str, text: &str) -> Result<Self> {
        let bytes = key_bytes(text).unwrap_or_default();
        let bad = |why: &str| {
            Error::usage(format!("`{name}` is not a secret key of minisign's: {why}"))
                .hint("`minisign -G` makes a pair of keys; the secret one is in `~/.minisign`")
        };
        match bytes.len() {
            SECRET_KEY_SIZE if bytes.starts_with(b"Ed") => {}
            PUBLIC_KEY_SIZE => {
                return Err(bad("it is a public one, which verifies and cannot sign"));
            }
            SIGNATURE_SIZE => return Err(bad("it is a signature")),
            _ => return Err(bad("it has none")),
        }
        let encrypted = match bytes.get(2..4) {
            Some(b"Sc") => true,
            Some([0, 0]) => false,
            _ => return Err(bad("its encryption is unknown")),
        };
        Ok(StoredKey { name: name.to_owned(), bytes, encrypted })
    }

    /// Returns whether it is encrypted with a password.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Decrypts it.
    ///
    /// # Errors
    /// The password is wrong, or none is given where one is needed; or the key is damaged.
    pub fn decrypt(self, password: Option<&Secret>) -> Result<Signer> {
        let name = &self.name;
        let damaged = || {
            Error::usage(format!("`{name}` is damaged"))
                .hint("restore it from a backup; `minisign -R` checks whether it is intact")
        };
        // The library wants a comment, which may have got lost on the way here.
        let line = BASE64_STANDARD.encode(&self.bytes);
        let key = SecretKeyBox::from(format!("{COMMENT} \n{line}\n"));
        let key = match (self.encrypted, password) {
            // minisign 0.11 leaves the checksum out where there is no password.
            (false, _) if self.bytes.ends_with(&[0; 32]) => {
                SecretKey::from_bytes(&self.bytes).map_err(|_| damaged())
            }
            (false, _) => key.into_unencrypted_secret_key().map_err(|_| damaged()),
            (true, None) => {
                Err(Error::usage(format!("`{name}` is encrypted, and no password is given"))
                    .hint("`LONGSHORE_MINISIGN_PASSWORD` or `--password-file FILE` sets it"))
            }
            (true, Some(password)) => key
                .into_secret_key(Some(password.reveal().to_owned()))
                .map_err(|error| match error.kind() {
                    minisign::ErrorKind::Verify => {
                        Error::usage(format!("the password for `{name}` is wrong"))
                            .hint("or the key is damaged: check it with `minisign -R`")
                    }
                    _ => Error::usage(format!("`{name}` cannot be opened"))
                        .because(error.to_string()),
                }),
        }?;
        // What it signs does not verify where its two halves do not belong together.
        let signer = Signer(key);
        signer.sign(b"", "").map_err(|_| damaged())?;
        Ok(signer)
    }
}

impl Signer {
    /// Signs `data`, hashed first, as minisign does since 0.8 (`ED`). `trusted` is signed, too, and printed on
    /// verification.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn sign(&self, data: &[u8], trusted: &str) -> Result<String> {
        let failed = |error: minisign::PError| Error::build(format!("cannot sign: {error}"));
        let key = PublicKey::from_secret_key(&self.0).map_err(failed)?;
        let comment = format!("signature of {}", number(key.keynum()));
        // With the public key, the library checks what it made.
        let signature =
            minisign::sign(Some(&key), &self.0, Cursor::new(data), Some(trusted), Some(&comment));
        Ok(signature.map_err(failed)?.into_string())
    }
}
