//! The common code of commands that write a release: the stage, and its documents.

pub mod checksums;
pub mod chunks;
pub mod digests;
pub mod guard;
pub mod manifest;
pub mod stage;
pub mod summary;
