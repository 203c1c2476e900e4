//! Builds, verifies and packages static Rust binaries for several targets, and `FROM scratch` multi-architecture
//! images of the same files.
//!
//! The library is `cargo longshore` for an xtask: two lines in its `main` give it every command.
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     longshore::reenter();
//!     longshore::run(std::env::args_os())
//! }
//! ```
//!
//! The output of commands with `--message-format json`, and the files that they write, are the types of
//! [`schema`]. [`verify()`] checks a binary that is in memory.
//!
//! The cargo features and what each costs are in `docs/dependencies.md`; `default-features = false` is
//! the smallest set.
#![deny(missing_docs)]

/// Internal; it changes with any version.
#[doc(hidden)]
pub mod archive;
/// Internal; it changes with any version.
#[doc(hidden)]
pub mod binary;
/// Internal; it changes with any version.
#[doc(hidden)]
pub mod build;
/// Internal; it changes with any version.
#[doc(hidden)]
pub mod ci;
/// Internal; it changes with any version.
#[doc(hidden)]
pub mod cli;
/// Internal; it changes with any version.
#[doc(hidden)]
pub mod image;
/// Internal; it changes with any version.
#[doc(hidden)]
pub mod model;
/// Internal; it changes with any version.
#[doc(hidden)]
pub mod ops;
/// Internal; it changes with any version.
#[doc(hidden)]
pub mod release;
/// Internal; it changes with any version.
#[doc(hidden)]
pub mod size;
/// Internal; it changes with any version.
#[doc(hidden)]
pub mod sys;
/// Internal, but for the function of this name; it changes with any version.
#[doc(hidden)]
pub mod verify;

pub use cli::run;
pub use model::{
    error::{Error, Result, Status},
    schema,
};
pub use sys::zig::reenter;
pub use verify::{Policy, verify};
