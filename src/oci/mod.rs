//! Container images as values: digests, layers, configuration, manifests, indexes and layouts,
//! after the OCI image specification 1.1. Nothing here knows what longshore is; it imports nothing
//! of ours but [`crate::error`].

pub mod digest;
pub mod platform;

pub use digest::Digest;
pub use platform::Platform;
