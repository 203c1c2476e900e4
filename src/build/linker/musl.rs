//! The versions of musl in the standard libraries of rustc.

use semver::Version;

/// The version of musl from one rustc on.
#[derive(Clone, Copy, Debug)]
pub struct BundledMusl {
    /// The first rustc, as major and minor version.
    pub rustc: (u64, u64),
    /// The version of musl.
    pub musl: (u64, u64, u64),
    /// The source of this information.
    pub source: &'static str,
}

/// The changes of the version, the newest first.
pub const BUNDLED: [BundledMusl; 2] = [
    BundledMusl { rustc: (1, 93), musl: (1, 2, 5), source: "rust-lang/rust#142682" },
    BundledMusl { rustc: (1, 71), musl: (1, 2, 3), source: "rust-lang/rust#107129" },
];

/// The first version with start code that reads packed relative relocations
/// (<https://musl.libc.org/releases.html>, 1.2.4: "DT_RELR").
const PACKED: (u64, u64, u64) = (1, 2, 4);

/// The version of the headers with which zig compiles C (zig 0.14 and 0.15, `lib/libc/musl`).
const HEADERS: (u64, u64, u64) = (1, 2, 5);

/// Returns the version of musl in the targets that rustup installs for `rustc`; `None` for versions before the
/// table.
pub fn bundled(rustc: &Version) -> Option<(u64, u64, u64)> {
    let release = (rustc.major, rustc.minor);
    BUNDLED.iter().find(|entry| release >= entry.rustc).map(|entry| entry.musl)
}

/// Returns whether the start code of that musl reads packed relative relocations.
pub(super) fn reads_packed_relocations(rustc: &Version) -> bool {
    bundled(rustc).is_some_and(|musl| musl >= PACKED)
}

/// Returns whether that musl has every function that C code compiled with zig's headers may call.
pub(super) fn matches_headers(rustc: &Version) -> bool {
    bundled(rustc).is_some_and(|musl| musl >= HEADERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_relocations_need_a_new_rustc() {
        let read = |version: &str| reads_packed_relocations(&version.parse().unwrap());
        assert!(read("1.93.0") && read("1.95.0") && read("1.99.0-nightly"));
        assert!(!read("1.92.0") && !read("1.71.0") && !read("1.60.0"));
        assert_eq!(bundled(&Version::new(1, 60, 0)), None);
        assert!(BUNDLED.iter().all(|entry| entry.source.contains('#')));
        assert!(BUNDLED.windows(2).all(|pair| pair[0].rustc > pair[1].rustc));
    }
}
