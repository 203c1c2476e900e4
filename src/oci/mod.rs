//! Container images as values: digests, layers, configuration, manifests, indexes and layouts,
//! after the OCI image specification 1.1. Nothing here knows what longshore is; it imports nothing
//! of ours but [`crate::error`].

pub mod archive;
pub mod check;
pub mod config;
pub mod descriptor;
pub mod digest;
pub mod document;
pub mod image;
pub mod index;
pub mod json;
pub mod layer;
pub mod layout;
pub mod manifest;
pub mod platform;
pub mod reference;
pub mod tar;
pub mod tree;

pub use config::Config;
pub use descriptor::{Descriptor, MediaType};
pub use digest::Digest;
pub use document::Document;
pub use image::{Image, ImageSet};
pub use index::Index;
pub use layer::{Compressor, Layer};
pub use manifest::Manifest;
pub use platform::Platform;
pub use reference::Reference;
pub use tree::Tree;
