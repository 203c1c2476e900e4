//! A JSON document next to the exact bytes it was read from or written as.

use std::ops::Deref;

use serde::{Serialize, de::DeserializeOwned};

use crate::model::{
    digest::Digest,
    error::{Error, Result},
    json::{self, Style},
};

/// A kind of document: what it is called, how it is written, and what must hold of it.
pub trait Model: Serialize + DeserializeOwned {
    /// Its name in errors, such as `image index`.
    const NAME: &'static str;
    /// The layout of its JSON.
    const STYLE: Style;

    /// Checks the rules that the types cannot express.
    ///
    /// # Errors
    /// A sentence about the problem.
    fn check(&self) -> Result<(), String>;
}

/// A parsed value and its bytes. The bytes are never made again from the value, so the digest is
/// always that of what was read or written.
#[derive(Clone, Debug, PartialEq)]
pub struct Document<T> {
    value: T,
    bytes: Vec<u8>,
    digest: Digest,
}

impl<T: Model> Document<T> {
    /// The largest document that is read: 4 MiB, which is what registries must accept of a manifest
    /// (OCI distribution specification 1.1, "Pushing Manifests").
    pub const LIMIT: usize = 4 << 20;

    /// Writes `value`.
    ///
    /// # Errors
    /// `value` breaks a rule of its kind.
    pub fn new(value: T) -> Result<Self> {
        value.check().map_err(|reason| {
            Error::build(format!("failed to write an {}", T::NAME)).because(reason)
        })?;
        let bytes = json::to_bytes(&value, T::STYLE)?;
        let digest = Digest::sha256(&bytes);
        Ok(Document { value, bytes, digest })
    }

    /// Reads `bytes`, and keeps them.
    ///
    /// # Errors
    /// They are longer than [`Document::LIMIT`], are not such a document, or break a rule of it.
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        let document_error =
            |reason: String| Error::check(format!("not a valid {}", T::NAME)).because(reason);
        if bytes.len() > Self::LIMIT {
            return Err(document_error(format!("{} bytes are too many", bytes.len())));
        }
        let value: T = serde_json::from_slice(&bytes).map_err(|e| document_error(e.to_string()))?;
        value.check().map_err(document_error)?;
        let digest = Digest::sha256(&bytes);
        Ok(Document { value, bytes, digest })
    }
}

impl<T> Document<T> {
    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the digest of the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the number of bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl<T> Deref for Document<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
