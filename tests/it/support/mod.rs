//! Helpers of several tests: real peers and their start, and programs to pack.

pub(crate) mod bom;
pub(crate) mod browser;
pub(crate) mod buildkit;
pub(crate) mod ci;
pub(crate) mod command;
pub(crate) mod dist;
pub(crate) mod engine;
pub(crate) mod foreign;
pub(crate) mod forge;
pub(crate) mod gate;
pub(crate) mod git;
pub(crate) mod leaves;
pub(crate) mod peer;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod random;
pub(crate) mod registry;
pub(crate) mod server;
pub(crate) mod shown;
pub(crate) mod tarball;
pub(crate) mod tls;
pub(crate) mod tree;
pub(crate) mod tunnel;
pub(crate) mod web;
pub(crate) mod workspace;
