//! Archives and packages, as `dist.json` records them.

use serde::{Deserialize, Serialize};

use crate::model::{digest::Digest, platform::Platform};

/// An archive or a package of one target's binaries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Archive {
    /// The kind of its contents.
    pub kind: ArchiveKind,
    /// The package that it is of.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The target triple of its binaries.
    pub target: String,
    /// The OCI platform.
    pub platform: Platform,
    /// The path of the file.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// Its files, in their order.
    pub contents: Vec<Packed>,
}

/// The kind of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ArchiveKind {
    /// Binaries, with what belongs to them.
    Binaries,
    /// Their symbols and line numbers.
    Debug,
    /// A package of Debian's (deb(5)).
    Deb,
    /// An RPM package.
    Rpm,
    /// A package for Arch Linux.
    Arch,
    /// A wheel, the package format of Python's installers.
    Wheel,
    /// A package for npm with the binaries of one platform.
    Npm,
}

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Packed {
    /// Its path in the archive.
    pub path: String,
    /// Whether it may be executed.
    pub executable: bool,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// A file that serves all platforms of a package: it chooses one of them where it is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Channel {
    /// Its kind.
    pub kind: ChannelKind,
    /// The package that it is of.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The path of the file.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
    /// Its files, if it is an archive.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub contents: Vec<Packed>,
}

/// The kind of a file for all platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// The main package for npm, which depends on those of the platforms.
    Npm,
    /// An installation script for POSIX shells.
    Installer,
    /// A formula for Homebrew.
    Homebrew,
}
