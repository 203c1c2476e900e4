//! What serves `malloc` in a program.

use serde::{Deserialize, Serialize};

/// The requested allocator, in metadata, in a target's file or on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// mimalloc where it makes a difference, see [`crate::build::allocator::choose`].
    #[default]
    Auto,
    /// mimalloc.
    Mimalloc,
    /// That of the C library.
    System,
}

/// What serves `malloc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Allocator {
    /// mimalloc, linked in.
    Mimalloc,
    /// That of the C library.
    System,
}

/// What serves `malloc`, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Choice {
    /// What serves it.
    pub allocator: Allocator,
    /// Who chose it.
    pub origin: String,
}
