//! The build, in advance: workspace, targets, configuration, plan, and the command lines of cargo and zig.

pub mod allocator;
pub mod cache;
pub mod cargo;
pub mod config;
pub mod edit;
pub mod launcher;
pub mod linker;
pub mod memory;
pub mod pgo;
pub mod plan;
pub mod profile;
pub mod request;
pub mod target;
pub mod tune;
pub mod workspace;
pub mod zig;
