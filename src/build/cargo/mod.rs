//! The interface to cargo: the user's flags, the command line of a build, and the messages of the build. It
//! parses and formats; nothing here runs anything.

pub mod blame;
pub mod cpu;
pub mod identity;
pub mod invocation;
pub mod layout;
pub mod libraries;
pub mod message;
pub mod node;
pub mod pgo;
pub mod progress;
pub mod rustflags;
pub mod settings;
pub mod units;
