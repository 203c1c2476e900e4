//! Values of cargo profiles.

use serde::{Deserialize, Serialize};

/// A set of values for the profile `dist`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Fast programs of moderate size; panics unwind.
    #[default]
    Balanced,
    /// As `Balanced`, for processors of the level that the target's file names as `speed-cpu`.
    Speed,
    /// Small programs; panics abort, and std is built for size where its source is there.
    Size,
    /// Short builds, for pull requests.
    Quick,
}

/// One value of the profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Setting {
    /// The key, such as `lto`.
    pub key: String,
    /// Its value in TOML.
    pub value: String,
    /// The origin, such as `preset balanced` or `[profile.dist] in Cargo.toml`.
    pub origin: String,
    /// Whether longshore passes it to cargo; cargo finds the others itself.
    pub passed: bool,
}

/// Unstable switches of rustc, each to be requested by name
/// (<https://doc.rust-lang.org/unstable-book/compiler-flags.html>). std is built with them, too, so
/// its source must be installed; and all crates and build scripts are compiled as by a nightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Unstable {
    /// A panic ends the program at once, without a message.
    ImmediateAbort,
    /// Panic messages have no file and line.
    NoLocations,
}
