//! Images: their documents and layers, Dockerfiles, the registry protocol and tags.

pub mod assemble;
pub mod contents;
pub mod distribution;
pub mod dockerfile;
pub mod oci;
pub mod read;
pub mod tags;
