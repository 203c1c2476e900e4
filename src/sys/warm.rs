//! What zig builds once for a target, before its first link: libc, compiler-rt, libunwind. It keeps
//! them in its global cache, and they take it half a minute; so they are built beside cargo's compile
//! where they are missing, in a directory of their own, from which they are copied into zig's cache
//! and into caches that are saved. zig's cache names its entries by what they were made of, not by
//! where they are, so that entries can be copied from one to another.
#![allow(clippy::disallowed_methods, reason = "a linker wrapper has no context")]

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    error::Result,
    sys::{Context, fs, tree},
};

/// Where a link made by one of our wrappers waits for the file that this variable names to be
/// unlocked: what it needs is being built.
pub const WAIT: &str = "LONGSHORE_WARM_LOCK";

/// Where the entries called `name` are kept.
pub fn place(cx: &Context, name: &str) -> Utf8PathBuf {
    cx.env.cache.join("zig-warm").join(name)
}

/// zig's global cache, as zig finds it on every system but Windows (zig 0.13 to 0.17,
/// `resolveGlobalCacheDir` in `introspect.zig`).
pub fn zig_cache(cx: &Context) -> Option<Utf8PathBuf> {
    let dir = match (cx.env.var("ZIG_GLOBAL_CACHE_DIR"), cx.env.var("XDG_CACHE_HOME")) {
        (Some(dir), _) => Utf8PathBuf::from(dir),
        (None, Some(dir)) => Utf8Path::new(dir).join("zig"),
        (None, None) => cx.env.home()?.join(".cache/zig"),
    };
    Some(cx.env.dir.join(dir))
}

/// The mark in zig's cache that it has the entries called `name`; it goes when the cache goes.
fn mark(cache: &Utf8Path, name: &str) -> Utf8PathBuf {
    cache.join(format!("longshore-{name}"))
}

/// Whether zig's cache has the entries called `name`, as far as is known.
pub fn is_warm(cache: &Utf8Path, name: &str) -> bool {
    mark(cache, name).exists()
}

/// Keeps what a zig with the cache directory `made` left there as the entries called `name`: the
/// results and what tells that they are good, without what only served to make them.
///
/// # Errors
/// It cannot be renamed.
pub fn keep(cx: &Context, made: &Utf8Path, name: &str) -> Result<()> {
    for other in fs::names(made)? {
        if !["h", "o"].contains(&other.as_str()) {
            let path = made.join(other);
            if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
        }
    }
    let to = place(cx, name);
    fs::remove_dir_all(&to)?;
    fs::rename(made, &to)
}

/// Gives zig's cache the entries called `name`, and marks it.
///
/// # Errors
/// Something cannot be read or written.
pub fn merge(cx: &Context, cache: &Utf8Path, name: &str) -> Result<()> {
    let from = place(cx, name);
    // The results before what says that they are there.
    for result in fs::names(&from.join("o"))? {
        let to = cache.join("o").join(&result);
        if !to.exists() {
            fs::create_dir_all(&cache.join("o"))?;
            tree::copy(&from.join("o").join(&result), &to)?;
        }
    }
    for said in fs::names(&from.join("h"))? {
        let to = cache.join("h").join(&said);
        // zig writes to these, so ours stay ours; an empty one is of a build that was interrupted.
        if fs::stamp(&to).is_none_or(|(size, ..)| size == 0) {
            fs::write(&to, &fs::read(&from.join("h").join(&said))?)?;
        }
    }
    fs::write(&mark(cache, name), b"")
}

/// Waits until what links need is built, where [`WAIT`] says that it is being built.
pub fn wait() {
    let Some(path) = std::env::var_os(WAIT) else { return };
    let lock = std::fs::OpenOptions::new().read(true).open(&path).and_then(|file| {
        file.lock_shared()?;
        Ok(file)
    });
    // Released at once: only the wait counts. A link that cannot wait builds what is missing.
    drop(lock);
}
