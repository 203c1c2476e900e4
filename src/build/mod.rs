//! What is built: workspace, targets, configuration, plan, and how cargo and zig are called.

pub mod allocator;
pub mod cache;
pub mod cargo;
pub mod config;
pub mod memory;
pub mod plan;
pub mod profile;
pub mod request;
pub mod target;
pub mod workspace;
pub mod zig;
