//! Container images as values: digests, layers, configuration, manifests, indexes and layouts, after
//! the OCI image specification 1.1. Nothing here depends on longshore; its only import from this crate
//! is [`crate::model::error`].

pub mod archive;
pub mod check;
pub mod config;
pub mod descriptor;
pub mod document;
pub mod image;
pub mod index;
pub mod layer;
pub mod layout;
pub mod manifest;
pub mod walk;

pub use crate::{
    archive::tree::Tree,
    model::{digest::Digest, platform::Platform},
};
pub use config::Config;
pub use descriptor::{Descriptor, MediaType};
pub use document::Document;
pub use image::{OciImage, OciImageSet};
pub use index::Index;
pub use layer::Layer;
pub use manifest::Manifest;
