//! Signs of C and C++ in the dependencies of a program.

/// Crates with which build scripts compile or find C.
const BUILDERS: [&str; 10] = [
    "autotools",
    "bindgen",
    "cc",
    "cmake",
    "meson-next",
    "nasm-rs",
    "openssl-src",
    "pkg-config",
    "system-deps",
    "vcpkg",
];

/// Crates with which build scripts compile C++, or that link its library.
const CXX_CRATES: [&str; 5] =
    ["autocxx-build", "cpp_build", "cxx-build", "cxx-gen", "link-cplusplus"];

/// Packages with C that rust-lld links for both targets: docs/native.md has the table of what was run. C may need
/// functions of a compiler that Rust's library does not have.
pub const TESTED: [&str; 12] = [
    "aws-lc-sys",
    "blake3",
    "libdeflate-sys",
    "libgit2-sys",
    "libmimalloc-sys",
    "libsqlite3-sys",
    "libz-ng-sys",
    "libz-sys",
    "onig_sys",
    "ring",
    "tikv-jemalloc-sys",
    "zstd-sys",
];

/// Returns whether a crate with this name compiles or finds C for others.
pub fn builds_c(name: &str) -> bool {
    BUILDERS.contains(&name)
}

/// Returns whether a crate with this name compiles C++ for others, or links its library.
pub fn builds_cxx(name: &str) -> bool {
    CXX_CRATES.contains(&name)
}

/// Returns whether the text of a build script requests a library
/// (<https://doc.rust-lang.org/cargo/reference/build-scripts.html#rustc-link-lib>).
pub fn links_library(script: &str) -> bool {
    script.contains("rustc-link-lib")
}

/// Returns whether the text of a build script compiles C++ or links its library: with the crate cc, or by a
/// library's name. Options that disable C++ do not count.
pub fn links_cxx(script: &str) -> bool {
    [".cpp(", "stdc++", "c++", "cxx_build", "CXXSTDLIB"].iter().any(|word| script.contains(word))
}

/// Returns the first crate that a `Cargo.lock` names and that compiles C or C++ for others.
pub fn builder_in_lock(lock: &str) -> Option<&'static str> {
    let all = BUILDERS.iter().chain(&CXX_CRATES);
    all.copied().find(|name| {
        let line = format!("name = \"{name}\"");
        lock.lines().any(|found| found == line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_scripts_show_what_they_link() {
        assert!(links_cxx("cc::Build::new().cpp(true).file(\"a.cc\")"));
        assert!(links_cxx("println!(\"cargo:rustc-link-lib=stdc++\")"));
        assert!(!links_cxx("command.arg(\"--disable-cxx\").file(\"a.cpp\")"));
        assert!(links_library("println!(\"cargo::rustc-link-lib=static=z\")"));
        assert!(!links_library("println!(\"cargo:rustc-cfg=x\")"));
    }

    #[test]
    fn builders_match_by_complete_name() {
        assert_eq!(builder_in_lock("name = \"cc-traits\"\nname = \"cmake\"\n"), Some("cmake"));
        assert_eq!(builder_in_lock("name = \"cc-traits\"\n"), None);
        assert!(builds_c("cc") && builds_cxx("cxx-build") && !builds_c("rustc_version"));
    }
}
