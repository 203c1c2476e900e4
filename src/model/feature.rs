//! Parts of longshore that a build can leave out, by their names in `Cargo.toml`.

use std::{fmt, io};

use crate::model::error::{Error, Result};

/// A cargo feature of longshore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Files for CI systems.
    Ci,
    /// Certificate authorities and time zones for images.
    Extras,
    /// Registries, releases, and comments on pull requests.
    Registry,
    /// Signatures of minisign.
    Sign,
    /// The page of `size`.
    SizePage,
    /// Archives in xz.
    Xz,
    /// Archives and layers in zstd, and archives of caches.
    Zstd,
}

impl Feature {
    /// Every one of them.
    pub const ALL: [Self; 7] =
        [Self::Ci, Self::Extras, Self::Registry, Self::Sign, Self::SizePage, Self::Xz, Self::Zstd];

    /// Returns the name in `Cargo.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Feature::Ci => "ci",
            Feature::Extras => "extras",
            Feature::Registry => "registry",
            Feature::Sign => "sign",
            Feature::SizePage => "size-page",
            Feature::Xz => "xz",
            Feature::Zstd => "zstd",
        }
    }

    /// Returns whether this build has it.
    fn is_enabled(self) -> bool {
        match self {
            Feature::Ci => cfg!(feature = "ci"),
            Feature::Extras => cfg!(feature = "extras"),
            Feature::Registry => cfg!(feature = "registry"),
            Feature::Sign => cfg!(feature = "sign"),
            Feature::SizePage => cfg!(feature = "size-page"),
            Feature::Xz => cfg!(feature = "xz"),
            Feature::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// Returns the error of what needs it in a build without it.
    pub fn missing_error(self) -> Error {
        Error::usage(self.to_string()).hint(format!(
            "add it in `Cargo.toml`: `longshore = {{ version = \"{}\", features = [\"{}\"] }}`",
            env!("CARGO_PKG_VERSION"),
            self.name()
        ))
    }

    /// Returns [`Feature::missing_error`] for a stream.
    pub fn missing_io_error(self) -> io::Error {
        io::Error::other(self.to_string())
    }

    /// Checks that this build has it.
    ///
    /// # Errors
    /// It does not; the line for `Cargo.toml` is in the hint.
    pub fn require(self) -> Result<()> {
        if self.is_enabled() { Ok(()) } else { Err(self.missing_error()) }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "longshore was built without the feature `{}`", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_features_are_enabled_by_default() {
        let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
        let names: Vec<toml::Value> = Feature::ALL.map(|feature| feature.name().into()).into();
        assert_eq!(manifest["features"]["default"], toml::Value::Array(names));
    }

    #[test]
    fn a_missing_feature_is_a_usage_error_with_the_line_to_add() {
        let error = Feature::Zstd.missing_error();
        assert_eq!(error.status().code(), 2);
        assert_eq!(error.to_string(), "longshore was built without the feature `zstd`");
        assert!(error.hint_text().unwrap().contains("features = [\"zstd\"]"));
    }
}
