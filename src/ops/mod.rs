//! The operations, one function for each command: each takes a context and a request, combines core and shell,
//! and returns a value. None prints, none exits, and each can be called again.

pub mod cache;
#[cfg_attr(not(feature = "ci"), path = "ci/without.rs")]
pub mod ci;
pub mod dist;
pub mod doctor;
pub mod image;
pub mod init;
pub mod merge;
pub mod output;
pub mod package;
pub mod push;
pub mod release;
pub mod reproduce;
pub mod sign;
pub mod size;
pub mod tune;
pub mod verify;
