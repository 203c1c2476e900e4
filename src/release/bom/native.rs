//! Libraries in other languages that crates contain, as far as they can be detected.

use cargo_metadata::Package;

use crate::model::collect::SortStable as _;

/// A library in C, or another language, that a crate's build script compiled and had linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// Its name: that of the crate's `links` key, unless the version names it.
    pub name: String,
    /// Its version, if the crate's version contains it, as in `2.0.16+zstd.1.5.7`.
    pub version: Option<String>,
    /// The archives that were linked.
    pub libraries: Vec<String>,
}

/// Returns the library of `package`, with a build script that requested `requested` from the linker; `source` is
/// the crate with its source, if that is a different one. Only libraries linked as `static=…` are bundled;
/// others may be the system's.
pub(super) fn bundled_library<'a>(
    package: &Package,
    source: Option<&Package>,
    requested: impl Iterator<Item = &'a str>,
) -> Option<Native> {
    let mut libraries: Vec<String> = requested.filter_map(static_library_name).collect();
    libraries.sort_stable();
    libraries.dedup();
    let first = libraries.first()?;
    let reported = [Some(package), source].into_iter().flatten().find_map(|package| {
        let reported = package.version.build.as_str();
        (!reported.is_empty()).then(|| name_and_version(reported))
    });
    // Without either, it is the crate's own code that happens not to be in Rust.
    if package.links.is_none() && reported.is_none() {
        return None;
    }
    let (name, version) = reported.unwrap_or_default();
    let name = name.or_else(|| package.links.clone()).unwrap_or_else(|| first.clone());
    Some(Native { name, version, libraries })
}

/// Returns the library's name in `static=z`, `static:+whole-archive=z`
/// (<https://doc.rust-lang.org/rustc/command-line-arguments.html#option-l-link-lib>).
fn static_library_name(requested: &str) -> Option<String> {
    let (kind, name) = requested.split_once('=')?;
    let kind = kind.split(':').next()?;
    // `name:rename` comes from attributes only, and is harmless here.
    (kind == "static").then(|| name.split(':').next().unwrap_or(name).to_owned())
}

/// Splits build metadata into name and version: `zstd.1.5.7` and `curl-8.12.1` name their library, `3.5.0` does
/// not.
fn name_and_version(reported: &str) -> (Option<String>, Option<String>) {
    let digit = reported.find(|c: char| c.is_ascii_digit());
    match digit {
        Some(0) => (None, Some(reported.to_owned())),
        Some(at) => {
            let (name, version) = reported.split_at(at);
            // A `v` or the like before the number is not a name.
            match name.strip_suffix(['.', '-']) {
                Some(name) => (Some(name.to_owned()), Some(version.to_owned())),
                None => (None, Some(reported.to_owned())),
            }
        }
        None => (Some(reported.to_owned()), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_libraries_are_read_from_versions() {
        let read = |reported| {
            let (name, version) = name_and_version(reported);
            (name.unwrap_or_default(), version.unwrap_or_default())
        };
        let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(read("zstd.1.5.7"), pair("zstd", "1.5.7"));
        assert_eq!(read("curl-8.12.1"), pair("curl", "8.12.1"));
        assert_eq!(read("3.5.0"), pair("", "3.5.0"));
        assert_eq!(read("5.3.0-1-ge13ca99"), pair("", "5.3.0-1-ge13ca99"));
        assert_eq!(read("v1.2"), pair("", "v1.2"));
    }

    #[test]
    fn only_static_libraries_are_bundled() {
        assert_eq!(static_library_name("static=z"), Some("z".to_owned()));
        assert_eq!(static_library_name("static:+whole-archive=z"), Some("z".to_owned()));
        for other in ["z", "dylib=z", "framework=Security"] {
            assert_eq!(static_library_name(other), None, "{other}");
        }
    }
}
