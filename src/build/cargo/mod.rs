//! Cargo as longshore sees it: the flags a user gave it, the command line of a build, and what the
//! build says while it runs. Text in, values out; nothing here runs anything.

pub mod blame;
pub mod cpu;
pub mod identity;
pub mod invocation;
pub mod layout;
pub mod ledger;
pub mod message;
pub mod node;
pub mod progress;
pub mod rustflags;
pub mod settings;
