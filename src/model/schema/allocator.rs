//! The allocator of a program.

use serde::{Deserialize, Serialize};

/// The requested allocator, in metadata, in a target's file or on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "Setting", rename_all = "kebab-case")]
pub enum AllocatorSetting {
    /// mimalloc where it makes a difference, see [`crate::build::allocator::choose`].
    #[default]
    Auto,
    /// mimalloc.
    Mimalloc,
    /// The allocator of the C library.
    System,
}

/// The allocator that serves `malloc`, and so C code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Allocator {
    /// mimalloc, linked in.
    Mimalloc,
    /// The global allocator of the program, which serves C code, too.
    Program,
    /// The allocator of the C library.
    System,
}

/// An allocator, and the origin of the choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "Choice", rename_all = "kebab-case")]
pub struct AllocatorChoice {
    /// The allocator.
    pub allocator: Allocator,
    /// The setting, flag or crate that chose it.
    pub origin: String,
}
