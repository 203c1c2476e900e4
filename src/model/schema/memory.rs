//! The functions of C that compare, search, copy and fill memory.

use serde::{Deserialize, Serialize};

/// The implementation of the memory functions, in metadata and in a target's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MemoryFunctions {
    /// longshore's, which use vectors.
    Fast,
    /// Those of the C library.
    System,
}

/// The implementation of the memory functions in a program, and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct MemoryChoice {
    /// The implementation.
    pub functions: MemoryFunctions,
    /// The origin of the choice.
    pub origin: String,
    /// In a binary with longshore's, the functions that are not: the program defines them itself, or only
    /// the C library has them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub others: Vec<String>,
}
