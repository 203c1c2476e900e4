//! minisign in a build without it: no key can be read.

use std::convert::Infallible;

use crate::model::{error::Result, feature::Feature, secret::Secret};

/// A public key.
#[derive(Clone, Debug)]
pub struct Verifier(Infallible);

impl Verifier {
    /// Returns whether `text` is a file of minisign's.
    pub fn accepts(text: &str) -> bool {
        text.starts_with("untrusted comment:")
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: &str, _: &str) -> Result<Self> {
        Err(Feature::Sign.missing_error())
    }

    /// Is never called, since no value exists.
    ///
    /// # Errors
    /// None.
    pub fn verify(&self, _: &str, _: &str, _: &[u8]) -> Result<String> {
        match self.0 {}
    }
}

/// A secret key in the form of its file.
#[derive(Debug)]
pub struct StoredKey(Infallible);

impl StoredKey {
    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: &str, _: &str) -> Result<Self> {
        Err(Feature::Sign.missing_error())
    }

    /// Is never called, since no value exists.
    pub fn is_encrypted(&self) -> bool {
        match self.0 {}
    }

    /// Is never called, since no value exists.
    ///
    /// # Errors
    /// None.
    pub fn decrypt(self, _: Option<&Secret>) -> Result<Signer> {
        match self.0 {}
    }
}

/// A secret key that can sign.
#[derive(Debug)]
pub struct Signer(Infallible);

impl Signer {
    /// Is never called, since no value exists.
    ///
    /// # Errors
    /// None.
    pub fn sign(&self, _: &[u8], _: &str) -> Result<String> {
        match self.0 {}
    }
}
