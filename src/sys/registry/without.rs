//! Registries in a build without them: no repository can be opened.

mod settings;

use std::{collections::BTreeSet, io::Read, sync::Arc};

pub use settings::{Blob, BlobOutcome, ResponseLimits, Settings};

use super::Context;
use crate::{
    image::{distribution::upload::UploadDocument, oci::MediaType, read::image::Store},
    model::{
        digest::Digest,
        error::{Error, Result},
        feature::Feature,
        reference::Reference,
    },
    sys::temporary::Draft,
};

/// The state that all registry requests of one command share.
#[derive(Debug)]
pub struct Session;

impl Session {
    /// Returns a session of one command.
    pub fn new(_: &Context, _: &Settings) -> Arc<Self> {
        Arc::new(Session)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn repository(self: &Arc<Self>, _: &Reference) -> Result<Repository> {
        Err(Feature::Registry.missing_error())
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn download(self: &Arc<Self>, _: &str, _: u64) -> Result<Option<Vec<u8>>> {
        Err(Feature::Registry.missing_error())
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn download_file(self: &Arc<Self>, _: &str, _: u64, _: &mut Draft) -> Result<bool> {
        Err(Feature::Registry.missing_error())
    }
}

/// A repository in a registry.
#[derive(Debug)]
pub enum Repository {}

/// The methods of both, none of which can be called.
macro_rules! never {
    ($($name:ident($($kind:ty),*) -> $result:ty;)*) => {
        $(
            /// Is never called, since no value exists.
            #[allow(clippy::missing_errors_doc, reason = "it cannot be called")]
            pub fn $name(&self $(, _: $kind)*) -> $result {
                match *self {}
            }
        )*
    };
}

impl Repository {
    never! {
        name() -> String;
        host() -> &str;
        path() -> &str;
        tags() -> Result<Option<BTreeSet<String>>>;
        tags_to_pull() -> Result<Option<BTreeSet<String>>>;
        read(&str) -> Result<Option<UploadDocument>>;
        attached(Digest, &str) -> Result<Vec<Vec<u8>>>;
        has_blob(Digest) -> Result<bool>;
        digest_of(&str, bool) -> Result<Option<Digest>>;
        put(&str, &MediaType, &[u8]) -> Result<()>;
        put_referrer(&str, &MediaType, &[u8]) -> Result<Option<Digest>>;
        send_blob(&Blob<'_>, &[String]) -> Result<BlobOutcome>;
    }
}

/// An image, or an index, in a registry, as a store.
#[derive(Debug)]
pub enum Remote {}

impl Remote {
    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn open(_: &Arc<Session>, _: &Reference) -> Result<Self> {
        Err(Feature::Registry.missing_error())
    }

    never! {
        digest() -> Digest;
        media_type() -> MediaType;
        size() -> u64;
        failure() -> Option<Error>;
    }
}

impl Store for Remote {
    fn open(&self, _: &str) -> Result<Option<Box<dyn Read + '_>>> {
        match *self {}
    }
}
