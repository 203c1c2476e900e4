//! What is known of zig: the version that is fetched when none is there, and the versions that do
//! not work.

use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::error::{Error, Result};

/// The pinned version, fetched from the Python index when there is no zig.
pub const PINNED: &str = "0.15.2";

/// The pinned package with the digest of its wheel for each host, as a pip requirements file
/// (<https://pip.pypa.io/en/stable/topics/secure-installs/#hash-checking-mode>).
pub const REQUIREMENTS: &str = include_str!("requirements.txt");

const VERSIONS: &str = include_str!("versions.toml");

/// Versions that are known not to work, with their source.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Bad {
    /// The zig versions.
    zig: VersionReq,
    /// The rustc versions that fail with them.
    rustc: VersionReq,
    /// What happens.
    why: String,
    /// Where that is known from.
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    bad: Vec<Bad>,
}

/// Accepts a zig that is not known to fail with this rustc.
///
/// # Errors
/// It is known to fail: why, the source of that, and the version to take.
pub fn accept(zig: &Version, rustc: &Version) -> Result<()> {
    // The table is part of the program and parsed by a test; a broken one refuses nothing.
    let table: Table = toml::from_str(VERSIONS).unwrap_or(Table { bad: Vec::new() });
    // A nightly of zig or rustc behaves like the release it leads to.
    let release = |version: &Version| Version::new(version.major, version.minor, version.patch);
    let (zig, rustc) = (release(zig), release(rustc));
    match table
        .bad
        .iter()
        .find(|bad| bad.zig.matches(&zig) && bad.rustc.matches(&rustc))
    {
        None => Ok(()),
        Some(bad) => Err(Error::tool(format!(
            "zig {zig} is known not to work with rustc {rustc}: {} ({})",
            bad.why, bad.source
        ))
        .hint(format!(
            "take zig {PINNED}: `python3 -m pip install ziglang=={PINNED}`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_parses_and_takes_the_pinned_version() {
        let table: Table = toml::from_str(VERSIONS).unwrap();
        assert!(!table.bad.is_empty());
        assert!(
            table
                .bad
                .iter()
                .all(|bad| bad.source.contains('#') || bad.source == "measured")
        );
        accept(&PINNED.parse().unwrap(), &Version::new(1, 95, 0)).unwrap();
        assert!(REQUIREMENTS.starts_with(&format!("ziglang=={PINNED}")));
    }

    #[test]
    fn a_bad_version_is_refused_by_name() {
        let error = accept(&Version::new(0, 9, 1), &Version::new(1, 95, 0)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("0.9.1") && text.contains("1.95.0"), "{text}");
        assert!(error.hint_text().unwrap().contains(PINNED));
    }
}
