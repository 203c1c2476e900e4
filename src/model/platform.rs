//! The platform of a binary or an image, in the terms of OCI.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::Error as _};

use crate::model::machine::Architecture;

/// An operating system, an architecture and, where one exists, a variant: `linux/arm/v7`. The
/// values are Go's `GOOS` and `GOARCH` (OCI image specification, config.md and image-index.md).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// `GOOS`.
    pub os: String,
    /// `GOARCH`.
    pub architecture: String,
    /// For example `v7`; arm64 has none (containerd normalises `arm64/v8` to `arm64`).
    pub variant: Option<String>,
}

impl Platform {
    /// Returns the platform as a relative path with `/` between its parts, which is also its text.
    pub fn path(&self) -> String {
        self.to_string()
    }
}

/// Normalises the spelling of a platform as containerd does
/// (<https://github.com/containerd/platforms>, `database.go`). Only `arm` without a variant, which
/// containerd takes for `arm/v7`, stays as it is.
pub(crate) fn normalise(
    os: &str,
    architecture: &str,
    variant: Option<&str>,
) -> (String, String, Option<String>) {
    let lower = str::to_ascii_lowercase;
    let (os, architecture) = (lower(os), lower(architecture));
    let variant = variant.map(lower).filter(|variant| !variant.is_empty());
    let os = if os == "macos" { "darwin".to_owned() } else { os };
    let variant = variant.as_deref();
    let (architecture, variant) = match Architecture::from_alias(&architecture) {
        Some((known, meant)) => (known.go.to_owned(), meant.or(variant)),
        None => (architecture, variant),
    };
    let (architecture, variant) = match (architecture.as_str(), variant) {
        (architecture, Some("")) | (architecture @ "amd64", Some("v1")) => (architecture, None),
        (architecture @ "arm64", Some("8" | "v8")) => (architecture, None),
        ("arm", Some(number @ ("5" | "6" | "7" | "8"))) => {
            return (os, architecture, Some(format!("v{number}")));
        }
        (architecture, variant) => (architecture, variant),
    };
    (os, architecture.to_owned(), variant.map(str::to_owned))
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// The text is not a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsePlatformError(String);

impl fmt::Display for ParsePlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a platform such as `linux/arm64` or `linux/arm/v7`", self.0)
    }
}

impl std::error::Error for ParsePlatformError {}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, ParsePlatformError> {
        let word = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            // Docker and containerd take `arm64/v8` for `arm64`, and `amd64/v1` for `amd64`.
            [os, "arm64", "v8"] => (os, "arm64", None),
            [os, "amd64", "v1"] => (os, "amd64", None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(ParsePlatformError(text.into())),
        };
        if !word(os) || !word(architecture) || !variant.is_none_or(word) {
            return Err(ParsePlatformError(text.into()));
        }
        Ok(Platform {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.map(Into::into),
        })
    }
}

impl Serialize for Platform {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Platform {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Platform".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[a-z0-9_]+/[a-z0-9_]+(/[a-z0-9_]+)?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_become_those_of_go() {
        for (given, expected) in [
            (("Linux", "ARM64", None), ("linux", "arm64", None)),
            (("linux", "aarch64", Some("v8")), ("linux", "arm64", None)),
            (("linux", "x86_64", Some("v2")), ("linux", "amd64", Some("v2"))),
            (("linux", "x86-64", None), ("linux", "amd64", None)),
            (("linux", "amd64", Some("V1")), ("linux", "amd64", None)),
            (("linux", "i386", Some("x")), ("linux", "386", None)),
            (("linux", "armhf", None), ("linux", "arm", Some("v7"))),
            (("linux", "armel", None), ("linux", "arm", Some("v6"))),
            (("linux", "arm", Some("7")), ("linux", "arm", Some("v7"))),
            (("linux", "arm", None), ("linux", "arm", None)),
            (("macOS", "arm64", Some("")), ("darwin", "arm64", None)),
            (("", "", None), ("", "", None)),
        ] {
            let (os, architecture, variant) = given;
            let (os, architecture, variant) = normalise(os, architecture, variant);
            assert_eq!((&*os, &*architecture, variant.as_deref()), expected, "{given:?}");
        }
    }

    #[test]
    fn texts() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Platform>().map(|p| p.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("linux/arm64/v8".parse(), "linux/arm64".parse::<Platform>());
        assert_eq!("linux/amd64/v1".parse(), "linux/amd64".parse::<Platform>());
        for text in ["", "linux", "linux/", "a/b/c/d", "../x", "Linux/amd64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
