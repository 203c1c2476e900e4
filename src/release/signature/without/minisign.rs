//! minisign in a build without it: no key can be read.

use std::convert::Infallible;

use crate::model::{error::Result, feature::Feature, secret::Secret};

/// A public key.
#[derive(Clone, Debug)]
pub struct Verifier(Infallible);

impl Verifier {
    /// Whether `text` is a file of minisign's.
    pub fn reads(text: &str) -> bool {
        text.starts_with("untrusted comment:")
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: &str, _: &str) -> Result<Self> {
        Err(Feature::Sign.missing_error())
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn verify(&self, _: &str, _: &str, _: &[u8]) -> Result<String> {
        match self.0 {}
    }
}

/// A secret key as it is in its file.
#[derive(Debug)]
pub struct Locked(Infallible);

impl Locked {
    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: &str, _: &str) -> Result<Self> {
        Err(Feature::Sign.missing_error())
    }

    /// Cannot be called.
    pub fn is_encrypted(&self) -> bool {
        match self.0 {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn open(self, _: Option<&Secret>) -> Result<Signer> {
        match self.0 {}
    }
}

/// A secret key that can sign.
#[derive(Debug)]
pub struct Signer(Infallible);

impl Signer {
    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn sign(&self, _: &[u8], _: &str) -> Result<String> {
        match self.0 {}
    }
}
