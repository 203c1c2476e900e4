//! The operations, one function a verb: each takes a context and a request, brings core and shell
//! together, and returns a value. None prints, none exits, and each can be called again.

mod allocator;
mod attach;
mod blame;
mod bom;
pub mod build;
pub mod cache;
mod checksums;
pub mod ci;
mod collect;
pub mod comment;
mod digests;
pub mod dist;
pub mod doctor;
mod features;
mod guard;
pub mod image;
pub mod inspect;
pub mod merge;
pub mod package;
mod path_packages;
mod pieces;
pub mod plan;
mod preflight;
pub mod provenance;
pub mod push;
pub mod sign;
pub mod size;
pub mod smoke;
pub mod stage;
mod store;
mod summary;
mod twice;
pub mod verify;
mod warm;
