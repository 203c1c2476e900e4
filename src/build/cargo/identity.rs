//! The identity of crates that depend on packages outside the workspace.
//!
//! Cargo passes each crate's identity to rustc as `-C metadata`, and derives it from the absolute path
//! of a package that is neither below the workspace's root nor from a registry or repository, and
//! from the identities of all dependencies (cargo's `PackageId::stable_hash` and
//! `compute_metadata`). rustc makes symbol names of it (RFC 2603, "crate disambiguator") and orders
//! functions by them. The same source in another directory would give other bytes.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;

/// The packages with crates that get an identity that does not depend on a path, and the program that
/// the user has cargo start rustc with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identities {
    /// The name that replaces the path of each package, by its directory: all that depend on a
    /// package outside the workspace, and these themselves.
    pub packages: BTreeMap<Utf8PathBuf, String>,
    /// `RUSTC_WRAPPER` or `build.rustc-wrapper` of the user.
    pub wrapper: Option<String>,
}

/// The options of rustc that distinguish two crates of one package: without paths, and without what
/// cargo derives from them.
const IDENTITY_OPTIONS: [&str; 4] = ["--crate-name", "--crate-type", "--cfg", "--target"];
const IDENTITY_CODEGEN_OPTIONS: [&str; 5] =
    ["debug-assertions=", "debuginfo=", "opt-level=", "overflow-checks=", "panic="];

/// Returns `args` of rustc with an identity that follows from `package` and the options that
/// distinguish crates of one package. Without `-C metadata` among `args`, they are as they were.
pub fn with_identity(package: &str, args: &[String]) -> Vec<String> {
    let mut text = package.to_owned();
    let mut metadata = None;
    for (at, arg) in args.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| args.get(at)).map_or("", String::as_str);
        let codegen = if before == "-C" { Some(arg.as_str()) } else { arg.strip_prefix("-C") };
        let counts = IDENTITY_OPTIONS.contains(&before)
            || arg == "--test"
            || codegen.is_some_and(|flag| {
                IDENTITY_CODEGEN_OPTIONS.iter().any(|name| flag.starts_with(name))
            });
        if counts {
            text.push('\0');
            text.push_str(arg);
        }
        // Cargo's own comes before those of the user's flags, which rustc adds to it.
        if metadata.is_none() && codegen.is_some_and(|flag| flag.starts_with("metadata=")) {
            metadata = Some(at);
        }
    }
    let mut args = args.to_vec();
    if let Some(arg) = metadata.and_then(|at| args.get_mut(at)) {
        let start = if arg.starts_with("-C") { "-C" } else { "" };
        *arg = format!("{start}metadata={}", short_hash(&text));
    }
    args
}

/// Returns an identity of the length that cargo's have.
fn short_hash(text: &str) -> String {
    let mut hex = Digest::sha256(text.as_bytes()).hex();
    hex.truncate(16);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn metadata(package: &str, text: &str) -> String {
        let args = with_identity(package, &words(text));
        args.iter().find(|arg| arg.contains("metadata=")).cloned().unwrap_or_default()
    }

    #[test]
    fn identities_depend_on_options_and_not_on_paths() {
        let args = |dir: &str, hash: &str| {
            format!(
                "rustc --crate-name shared {dir}/src/lib.rs --crate-type lib --cfg feature=\"x\" \
                 -C opt-level=3 -C metadata={hash} -C extra-filename=-{hash} --out-dir {dir}/target \
                 --target x86_64-unknown-linux-musl -L dependency={dir}/target/deps"
            )
        };
        let one = metadata("shared 1.0.0", &args("/one", "0123456789abcdef"));
        assert_eq!(one, metadata("shared 1.0.0", &args("/other", "fedcba9876543210")));
        assert_ne!(one, metadata("shared 1.0.1", &args("/one", "0123456789abcdef")));
        for (from, to) in [("\"x\"", "\"y\""), ("x86_64", "aarch64"), ("level=3", "level=0")] {
            let changed = args("/one", "0123456789abcdef").replace(from, to);
            assert_ne!(one, metadata("shared 1.0.0", &changed), "{to}");
        }
    }

    #[test]
    fn only_cargos_metadata_changes() {
        let args = words("rustc -Cmetadata=a -C extra-filename=-a -C metadata=user");
        let identity = short_hash("p");
        let expected = format!("rustc -Cmetadata={identity} -C extra-filename=-a -C metadata=user");
        assert_eq!(with_identity("p", &args), words(&expected));
        assert_eq!(with_identity("p", &words("rustc -vV")), words("rustc -vV"));
        assert!(with_identity("p", &[]).is_empty());
    }
}
