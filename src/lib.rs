//! Ship Rust programs: static binaries for several targets, verified, and a `FROM scratch`
//! multi-architecture image made of those very bytes.
//!
//! The library is what `cargo longshore` and an xtask call; see `docs/architecture.md` for the map.
#![warn(missing_docs)]

pub mod elf;
pub mod error;
pub mod event;
pub mod name;
pub mod oci;
pub mod schema;
pub mod target;
pub mod verify;

pub use error::{Error, Result, Status};
