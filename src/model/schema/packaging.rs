//! Formats and contents of archives and images.

use serde::{Deserialize, Serialize};

/// The format of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Format {
    /// tar in gzip, which everything can unpack.
    #[serde(rename = "tar.gz")]
    TarGz,
    /// tar in Zstandard: smaller, and quick to unpack.
    #[serde(rename = "tar.zst")]
    TarZst,
    /// tar in xz: the smallest, and slow.
    #[serde(rename = "tar.xz")]
    TarXz,
    /// zip, for people on Windows.
    #[serde(rename = "zip")]
    Zip,
}

/// A shell that completions can be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Shell {
    /// GNU's.
    Bash,
    /// Z shell.
    Zsh,
    /// The friendly interactive one.
    Fish,
    /// Elvish.
    Elvish,
    /// PowerShell.
    Powershell,
    /// Nushell.
    Nushell,
}

/// A set of files that is added to an image beside the binaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Extra {
    /// Mozilla's certificate authorities, in `/etc/ssl/certs/ca-certificates.crt`, where programs
    /// look for them on Debian and Alpine.
    CaCertificates,
    /// The time zone database, in `/usr/share/zoneinfo` (tzset(3)).
    Tzdata,
    /// `/etc/passwd` and `/etc/group`, with root and the user that the image starts as.
    User,
    /// `/tmp`, for everybody to write to (hier(7)).
    Tmp,
}

/// The compression of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Compressor {
    /// gzip, which everything can pull.
    #[default]
    Gzip,
    /// zstd, which is smaller and faster to unpack, and which Docker 20.10 cannot pull.
    Zstd,
    /// No compression.
    None,
}
