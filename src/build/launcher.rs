//! The xtask that runs the longshore that a workspace pins. Its source is in `runtime/xtask`; `init` writes it.

/// Its files, relative to the workspace.
pub const FILES: [(&str, &str); 4] = [
    ("xtask/Cargo.toml", include_str!("../../runtime/xtask/manifest.toml")),
    ("xtask/src/main.rs", include_str!("../../runtime/xtask/main.rs")),
    ("xtask/src/download.rs", include_str!("../../runtime/xtask/download.rs")),
    ("xtask/src/json.rs", include_str!("../../runtime/xtask/json.rs")),
];

/// The name and the directory of its package.
pub const NAME: &str = "xtask";
/// The version in its manifest.
pub const VERSION: &str = "0.0.0";
/// The value of its alias.
pub const ALIAS: &str = "run --quiet --package xtask --";

/// The start of its manifest.
const MARK: &str = "# Written by `cargo longshore init`.";

/// Returns whether a manifest is that of this xtask.
pub fn is_launcher(manifest: &str) -> bool {
    manifest.trim_start_matches('\u{feff}').starts_with(MARK)
}
