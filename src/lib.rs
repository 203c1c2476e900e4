//! Ship Rust programs: static binaries for several targets, verified, and a `FROM scratch`
//! multi-architecture image made of those very bytes.
//!
//! The library is what `cargo longshore` and an xtask call; see `docs/architecture.md` for the map.
#![warn(missing_docs)]

pub mod allocator;
pub mod archive;
pub mod assemble;
pub mod bom;
pub mod cache;
pub mod cargo;
pub mod ci;
pub mod cli;
pub mod command;
pub mod comment;
pub mod compress;
pub mod config;
pub mod contents;
pub mod distribution;
pub mod dockerfile;
pub mod elf;
pub mod error;
pub mod event;
pub mod foreign;
pub mod log;
pub mod markup;
pub mod merge;
pub mod name;
pub mod oci;
pub mod ops;
pub mod plan;
pub mod profile;
pub mod provenance;
pub mod request;
pub mod schema;
pub mod signature;
pub mod size;
pub mod sys;
pub mod tags;
pub mod target;
pub mod unpack;
pub mod verify;
pub mod withheld;
pub mod workspace;
pub mod zig;

pub use cli::run;
pub use error::{Error, Result, Status};
pub use sys::zig::reenter;
