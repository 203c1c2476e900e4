//! The toolchain: what is there, and how what is missing is provided. Everything that is provided
//! goes into the user's cache directory, and is shared by workspaces.

pub mod build_std;
pub mod debian;
pub mod mimalloc;
pub mod rust;
pub mod std;
pub mod zig;

pub use self::{rust::Rust, zig::Zig};
