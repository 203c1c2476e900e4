//! The objects that zig builds once for a target, before its first link: libc, compiler-rt, libunwind.
//! It keeps them in its global cache, and building them takes half a minute; so if they are missing, a
//! small link has them built beside cargo's compile. zig locks what it builds: a link that starts
//! meanwhile waits for it and does not build it again. The objects are also kept separately, for caches
//! that are saved.
//!
//! zig's cache names its entries by their inputs, not by their paths, so that they can be copied from
//! one cache to another: results are in `o`, and the records that they are valid in `h`.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::{collect::CollectOrdered as _, error::Result},
    sys::{
        Context,
        cache::unpack_plain,
        fs,
        seal::{self, Depth, SealState},
        tree,
    },
};

/// Returns the file in which the entries called `name` are kept: a tar, for they are thousands of
/// files.
pub fn archive_path(cx: &Context, name: &str) -> Utf8PathBuf {
    cx.env.cache.join(format!("zig-warm/{name}.tar"))
}

/// The directory for the same in a restored cache, below the directory in which cargo builds.
pub const RESTORED: &str = "longshore-zig";

/// Returns the directory of the contents of a restored cache, in `target`, where cargo builds. It
/// serves builds in that directory only: it is as trustworthy as the cache is.
pub fn restored(target: &Utf8Path) -> Utf8PathBuf {
    target.join(RESTORED)
}

/// Returns the cache for zig that a restored cache brought under `name` to `target`, where cargo
/// builds. `None` if there is nothing, or if it is not needed: zig's own cache has it or can get it
/// from this machine, or the user named a cache.
///
/// # Errors
/// The restored files are damaged, or cannot be copied.
pub fn restored_cache(cx: &Context, target: &Utf8Path, name: &str) -> Result<Option<Utf8PathBuf>> {
    let kept = restored(target).join(format!("{name}.tar"));
    let own = is_warm(&cx.env.zig_cache(), name) || archive_path(cx, name).exists();
    if cx.env.var("ZIG_GLOBAL_CACHE_DIR").is_some() || own || !kept.exists() {
        return Ok(None);
    }
    let cache = restored(target).join("cache");
    if !is_warm(&cache, name) {
        merge(&kept, &cache)?;
        mark_warm(&cache, name)?;
    }
    Ok(Some(cache))
}

/// Returns the mark in zig's cache that it has the entries called `name`; it is removed with the cache.
fn mark(cache: &Utf8Path, name: &str) -> Utf8PathBuf {
    cache.join(format!("longshore-{name}"))
}

/// Returns whether zig's cache has the entries called `name`, as far as is known.
pub fn is_warm(cache: &Utf8Path, name: &str) -> bool {
    mark(cache, name).exists()
}

/// Notes that zig's cache has the entries called `name`.
///
/// # Errors
/// The mark cannot be written.
pub fn mark_warm(cache: &Utf8Path, name: &str) -> Result<()> {
    fs::write(&mark(cache, name), b"")
}

/// The entries that a cache of zig's has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheEntries {
    results: BTreeSet<String>,
    said: BTreeSet<String>,
}

/// Returns the contents of zig's cache.
///
/// # Errors
/// It cannot be read.
pub fn entries(cache: &Utf8Path) -> Result<CacheEntries> {
    let names = |dir: &str| -> Result<BTreeSet<String>> {
        Ok(fs::names(&cache.join(dir))?.into_iter().collect_set())
    };
    Ok(CacheEntries { results: names("o")?, said: names("h")? })
}

/// Copies what is new in zig's cache since it had `before` into the directory `to`; `false` when no
/// library is among it, because all were there.
///
/// # Errors
/// Something cannot be read or written.
pub fn copy_new(cache: &Utf8Path, before: &CacheEntries, to: &Utf8Path) -> Result<bool> {
    let after = entries(cache)?;
    let mut library = false;
    for result in after.results.difference(&before.results) {
        let from = cache.join("o").join(result);
        library |= fs::names(&from)?.iter().any(|name| name.ends_with(".a"));
        fs::create_dir_all(&to.join("o"))?;
        tree::copy(&from, &to.join("o").join(result))?;
    }
    for said in after.said.difference(&before.said) {
        let text = fs::read(&cache.join("h").join(said))?;
        // Entries that another process compiled meanwhile name files outside of zig's own directories.
        if lists_only_zig_files(&String::from_utf8_lossy(&text)) {
            fs::write(&to.join("h").join(said), &text)?;
        }
    }
    Ok(library)
}

/// Returns whether a list of inputs in zig's cache names files of zig's own only: the fifth word of a
/// line sets which directory a path is relative to, and 0 is the current one (zig 0.13 to 0.17,
/// `Cache.zig`).
fn lists_only_zig_files(text: &str) -> bool {
    text.lines().skip(1).all(|line| line.split(' ').nth(4).is_some_and(|prefix| prefix != "0"))
}

/// Keeps the directory `made`, which has the form of zig's cache, in the file `location`.
///
/// # Errors
/// It cannot be read or written.
pub fn store(made: &Utf8Path, location: &Utf8Path) -> Result<()> {
    let mut tar = tar::Builder::new(Vec::new());
    let failed = |error| fs::file_error("read", made, error);
    for part in ["h", "o"] {
        tar.append_dir_all(part, made.join(part)).map_err(failed)?;
    }
    seal::remove(location)?;
    fs::write(location, &tar.into_inner().map_err(failed)?)?;
    seal::seal(location)
}

/// Returns whether the file `location` is as it was kept.
pub fn is_intact(location: &Utf8Path) -> bool {
    location.exists() && seal::check(location, Depth::Content) == SealState::Sound
}

/// Gives zig's cache the entries that are kept in the file `location`; those that it has stay.
///
/// # Errors
/// Something cannot be read or written.
pub fn merge(location: &Utf8Path, cache: &Utf8Path) -> Result<()> {
    let from = cache.join(format!("tmp/longshore.{}", std::process::id()));
    fs::remove_dir_all(&from)?;
    let done = merge_by(location, cache, &from);
    fs::remove_dir_all(&from)?;
    done
}

fn merge_by(kept: &Utf8Path, cache: &Utf8Path, from: &Utf8Path) -> Result<()> {
    let is_part = |name: &str| ["h", "o"].contains(&name.split('/').next().unwrap_or_default());
    unpack_plain(kept, from, is_part)?;
    // The results before what says that they are there.
    for part in ["o", "h"] {
        fs::create_dir_all(&cache.join(part))?;
        for name in fs::names(&from.join(part))? {
            let to = cache.join(part).join(&name);
            // An empty file is left of a build that was interrupted.
            if to.is_dir() || fs::stamp(&to).is_some_and(|(size, ..)| size > 0) {
                continue;
            }
            match fs::rename(&from.join(part).join(&name), &to) {
                // zig made it in the meantime.
                Err(_) if to.exists() => {}
                renamed => renamed?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_other_compilations_are_distinguished() {
        let line = |prefix: u8| format!("1408 10372091 1795 8691b83d {prefix} libc/musl/a.c\n");
        assert!(lists_only_zig_files(&format!("0\n{}{}", line(1), line(2))));
        assert!(!lists_only_zig_files(&format!("0\n{}{}", line(1), line(0))));
        assert!(!lists_only_zig_files("0\nx\n"));
        assert!(lists_only_zig_files(""));
    }

    #[test]
    fn new_entries_are_copied_between_caches() {
        let dir = fs::TempDir::new("longshore-warm-test").unwrap();
        let (one, two) = (dir.path.join("one"), dir.path.join("two"));
        let write = |cache: &Utf8Path, path: &str, text: &str| {
            fs::write(&cache.join(path), text.as_bytes()).unwrap();
        };
        let longshore_flags = "0\n1 2 3 4 1 libc/a.c\n";
        write(&one, "o/old/libold.a", "old");
        let before = entries(&one).unwrap();
        write(&one, "o/new/libc.a", "new");
        write(&one, "h/ours.txt", longshore_flags);
        write(&one, "h/theirs.txt", "0\n1 2 3 4 0 src/a.c\n");
        let (made, location) = (dir.path.join("made"), dir.path.join("kept.tar"));
        assert!(copy_new(&one, &before, &made).unwrap());
        store(&made, &location).unwrap();
        // Begun and not finished, and already there.
        write(&two, "h/ours.txt", "");
        write(&two, "o/new/libc.a", "newer");
        merge(&location, &two).unwrap();
        let read = |path: &str| fs::read_to_string_if_exists(&two.join(path)).unwrap();
        assert_eq!(read("h/ours.txt").as_deref(), Some(longshore_flags));
        assert_eq!(read("o/new/libc.a").as_deref(), Some("newer"));
        assert_eq!((read("o/old/libold.a"), read("h/theirs.txt")), (None, None));
        // If nothing was built there is nothing to keep.
        let nothing = dir.path.join("nothing");
        assert!(!copy_new(&one, &entries(&one).unwrap(), &nothing).unwrap());
    }
}
