//! The linker of a program.

use serde::{Deserialize, Serialize};

/// The requested linker, in metadata, in a target's file or on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename = "LinkerSetting", rename_all = "kebab-case")]
pub enum LinkerSetting {
    /// rust-lld where it makes a difference, see [`crate::build::linker::choose`].
    #[default]
    Auto,
    /// zig.
    Zig,
    /// The linker of the Rust toolchain.
    RustLld,
}

/// The linker of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Linker {
    /// zig, with its C library.
    Zig,
    /// The linker of the Rust toolchain, with the C library of the target's standard library.
    RustLld,
}

/// The linker of a program, and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct LinkerChoice {
    /// The linker.
    pub linker: Linker,
    /// The setting, flag or default that chose it.
    pub origin: String,
}
