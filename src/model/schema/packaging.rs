//! Formats and contents of archives and images.

use serde::{Deserialize, Serialize, de::Error as _};

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

/// The compression level of gzip in layers and archives, from 1, which is fast, to 12, which is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GzipLevel(#[cfg_attr(feature = "schema", schemars(range(min = 1, max = 12)))] u8);

impl GzipLevel {
    /// The lowest and the highest level.
    pub const RANGE: std::ops::RangeInclusive<u8> = 1..=12;

    /// The fastest level.
    pub const FAST: Self = GzipLevel(1);

    /// 3 % smaller than level 6, in six times its time; the levels above it gain a thousandth.
    pub const SMALL: Self = GzipLevel(10);

    /// Returns the level of that number; `None` outside of the range.
    pub fn new(level: u8) -> Option<Self> {
        Self::RANGE.contains(&level).then_some(GzipLevel(level))
    }

    /// Returns its number.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// On stripped executables smaller than the output of Go's gzip at its level 6, in two thirds of the time of
/// level 6 here.
impl Default for GzipLevel {
    fn default() -> Self {
        GzipLevel(4)
    }
}

impl<'de> Deserialize<'de> for GzipLevel {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        let level = u8::try_from(number).ok().and_then(GzipLevel::new);
        level.ok_or_else(|| {
            D::Error::custom(format!("expected a level from 1 to 12, found {number}"))
        })
    }
}
