//! The toolchain: detection, and installation of missing tools. Everything that is installed goes into the
//! user's cache directory, and is shared by workspaces.

pub mod build_std;
pub mod debian;
pub mod llvm;
pub mod memory;
pub mod mimalloc;
pub mod rust;
pub mod rust_lld;
pub mod std;
pub mod zig;

use ::std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

pub use self::{rust::Rust, zig::Zig};
use crate::{
    model::{collect::CollectOrdered as _, error::Result},
    sys::{
        Context, fs,
        seal::{self, Depth, SealState},
    },
};

/// Compiles an object in the cache directory, unless it is there and undamaged. `compile` writes it to the
/// path that it gets; `name` is for people.
fn provide_object(
    cx: &Context,
    object: &Utf8Path,
    name: &str,
    compile: impl FnOnce(&Utf8Path) -> Result<()>,
) -> Result<()> {
    let is_there = || seal::check(object, Depth::Content) == SealState::Sound;
    if is_there() {
        return Ok(());
    }
    let _lock = fs::lock(&Utf8PathBuf::from(format!("{object}.lock")), || {
        cx.status("Waiting", format!("for another longshore that compiles {name}"));
    })?;
    if is_there() {
        return Ok(());
    }
    let partial = Utf8PathBuf::from(format!("{object}.partial"));
    compile(&partial)?;
    seal::remove(object)?;
    fs::rename(&partial, object)?;
    seal::seal(object)
}

/// Variables that a compilation for all workspaces may inherit: where programs, their settings and
/// the network are.
fn is_inherited(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "CARGO_HOME",
        "HOME",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "LONGSHORE_CACHE_DIR",
        "PATH",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
        "TEMP",
        "TMP",
        "TMPDIR",
        "USER",
        "XDG_CACHE_HOME",
        "ZIG_GLOBAL_CACHE_DIR",
    ];
    const STARTS: [&str; 6] =
        ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_", "RUSTUP_", "SSL_CERT_"];
    NAMES.contains(&name)
        || STARTS.iter().any(|start| name.starts_with(start))
        || name.to_ascii_uppercase().ends_with("_PROXY")
}

/// Returns the variables of the environment that a compilation for all workspaces does not inherit,
/// each removed: those of one workspace would be part of what others get.
pub(super) fn unset(cx: &Context) -> BTreeMap<String, Option<String>> {
    let names = cx.env.vars().map(|(name, _)| name).filter(|name| !is_inherited(name));
    names.map(|name| (name.to_owned(), None)).collect_map()
}
