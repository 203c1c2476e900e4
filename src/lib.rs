//! Builds, verifies and packages static Rust binaries for several targets, and `FROM scratch` multi-architecture
//! images of the same files.
//!
//! The library is what `cargo longshore` and an xtask call; see `docs/architecture.md` for the map.
#![warn(missing_docs)]

pub mod archive;
pub mod binary;
pub mod build;
pub mod ci;
pub mod cli;
pub mod image;
pub mod model;
pub mod ops;
pub mod release;
pub mod size;
pub mod sys;
pub mod verify;

pub use cli::run;
pub use model::error::{Error, Result, Status};
pub use sys::zig::reenter;
