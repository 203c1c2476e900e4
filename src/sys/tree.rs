//! Trees of files with their times, as cargo compares them.
#![allow(clippy::disallowed_methods, reason = "like `sys::fs`, this module reads files")]

use std::{collections::BTreeSet, os::unix::fs::MetadataExt};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

use crate::{
    build::cache::{CurrentInput, InputContent, Stamp, Time},
    model::{
        collect::SortStable as _,
        digest::Digest,
        error::{Error, Result},
    },
    sys::{
        access,
        directory::{self, Walk, WalkStep},
        fs,
    },
};

/// Something in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its path, relative to the tree's root.
    pub path: Utf8PathBuf,
    /// Its kind.
    pub kind: EntryKind,
    /// Its modification time.
    pub time: Time,
    /// The lowest twelve bits of its mode.
    pub mode: u32,
    /// Device and inode: the same for two names of one file.
    pub inode: (u64, u64),
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file of this many bytes.
    File(u64),
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
}

/// Returns everything below `root`, sorted, without the directories that `skip` names by their relative
/// path. Links are not followed.
///
/// # Errors
/// Something cannot be read, has a name that is not UTF-8, or is neither file, directory nor link.
pub fn walk(root: &Utf8Path, skip: impl Fn(&Utf8Path) -> bool) -> Result<Vec<TreeEntry>> {
    walk_with(root, &skip)
}

/// Does as [`walk`]; one function for every caller, which is compiled once.
fn walk_with(root: &Utf8Path, skip: &dyn Fn(&Utf8Path) -> bool) -> Result<Vec<TreeEntry>> {
    let mut found = Vec::new();
    let mut walk = Walk::new(root, usize::MAX);
    while let Some(step) = walk.next() {
        let (whole, meta) = match step {
            WalkStep::Directory(..) => continue,
            // It may go during the walk.
            WalkStep::Unreadable(path, _) if path != root && access::is_absent(&path) => continue,
            WalkStep::Unreadable(_, error) | WalkStep::NotUtf8(_, error) => return Err(error),
            WalkStep::Entry(path, meta) => (path, meta),
        };
        let kind = match meta.file_type() {
            kind if kind.is_file() => EntryKind::File(meta.len()),
            kind if kind.is_dir() => EntryKind::Directory,
            kind if kind.is_symlink() => EntryKind::Link,
            _ => return Err(Error::build(format!("`{whole}` is not a file, directory or link"))),
        };
        let path = whole.strip_prefix(root).unwrap_or(&whole).to_owned();
        if kind == EntryKind::Directory && skip(&path) {
            walk.skip_contents();
        }
        found.push(TreeEntry {
            path,
            kind,
            time: time_of(&meta),
            mode: meta.mode() & 0o7777,
            inode: (meta.dev(), meta.ino()),
        });
    }
    found.sort_stable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn time_of(meta: &std::fs::Metadata) -> Time {
    (meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap_or(0))
}

/// Returns the modification time of the file at `path`, at the end of links.
pub fn time(path: &Utf8Path) -> Option<Time> {
    path.metadata().ok().map(|meta| time_of(&meta))
}

/// Returns the metadata that changes with the content of the file at `path`, at the end of links;
/// `None` if there is nothing.
pub fn stamp(path: &Utf8Path) -> Option<Stamp> {
    let meta = path.metadata().ok()?;
    Some(Stamp {
        size: meta.len(),
        modified: time_of(&meta),
        changed: (meta.ctime(), u32::try_from(meta.ctime_nsec()).unwrap_or(0)),
        device: meta.dev(),
        inode: meta.ino(),
    })
}

/// Returns the current time by the clock of the file system, from a new file in `dir`, which is
/// created.
///
/// # Errors
/// The file cannot be written.
pub fn file_system_time(dir: &Utf8Path) -> Result<Time> {
    let probe = dir.join(format!("longshore-clock.{}.tmp", std::process::id()));
    fs::remove_file(&probe)?;
    fs::create_dir_all(dir)?;
    let written = std::fs::File::create_new(&probe).and_then(|file| file.metadata());
    fs::remove_file(&probe)?;
    written.map(|meta| time_of(&meta)).map_err(|error| fs::file_error("write", &probe, error))
}

/// Returns the kind and the content of the file at `path`: a file by its content, also at the end of a
/// link; a directory by the names in it. `None` if there is nothing that can be read.
pub fn read_input(path: &Utf8Path) -> Option<CurrentInput> {
    let meta = path.metadata().ok()?;
    let state = if meta.is_dir() {
        let names = directory::names(path).ok()?;
        InputContent::Directory(Digest::sha256(names.join("\0").as_bytes()))
    } else if meta.is_file() {
        InputContent::File(fs::digest(path).ok()?.0)
    } else {
        return None;
    };
    Some(CurrentInput { state, time: time_of(&meta) })
}

/// Returns the target of the link at `path`; `None` if there is none.
pub fn read_link_input(path: &Utf8Path) -> Option<CurrentInput> {
    let meta = path.symlink_metadata().ok().filter(|meta| meta.is_symlink())?;
    Some(CurrentInput {
        state: InputContent::Link(path.read_link_utf8().ok()?.into()),
        time: time_of(&meta),
    })
}

/// Gives `path`, or where `follow` is set what it leads to, this modification time.
///
/// # Errors
/// It cannot be changed.
pub fn set_time(path: &Utf8Path, time: Time, follow: bool) -> Result<()> {
    let to = Timespec { tv_sec: time.0, tv_nsec: time.1.into() };
    set_timespec(path, to, follow)
}

fn set_timespec(path: &Utf8Path, to: Timespec, follow: bool) -> Result<()> {
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access: omit, last_modification: to };
    let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    utimensat(CWD, path.as_std_path(), &times, flags)
        .map_err(|error| fs::file_error("set the time of", path, error.into()))
}

/// Makes `path` newer than `than`: as new as now, or where the clock is behind, just newer.
///
/// # Errors
/// It cannot be changed.
pub fn renew(path: &Utf8Path, than: Time) -> Result<()> {
    let link = path.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
    for follow in [true, false] {
        if follow || link {
            set_timespec(path, Timespec { tv_sec: 0, tv_nsec: UTIME_NOW }, follow)?;
        }
    }
    if time(path).is_none_or(|now| now <= than) {
        set_time(path, (than.0 + 1, than.1), true)?;
    }
    Ok(())
}

/// Returns every path that counts for cargo if it tracks `path`: itself, and for a directory everything
/// below it, links followed. Of a repository's own directory and of `target`, where cargo builds, only
/// the directory itself: its contents always change.
pub fn tracked_paths(path: &Utf8Path, target: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut seen = BTreeSet::new();
    let mut open = vec![path.to_owned()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        found.push(path.clone());
        let Ok(real) = path.canonicalize_utf8() else { continue };
        let other = real.file_name() == Some(".git") || real == target;
        if !real.is_dir() || other || !seen.insert(real) {
            continue;
        }
        let names = directory::source_names(&path).unwrap_or_default();
        open.extend(names.into_iter().map(|name| path.join(name)));
    }
    found.sort_stable();
    found
}

/// Returns the files of a package as cargo may list them: all in its directory except repositories' own
/// directories and `target`, where cargo builds.
///
/// # Errors
/// As [`walk`].
pub fn package_files(root: &Utf8Path, target: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let skip =
        |path: &Utf8Path| path.file_name() == Some(".git") || target.starts_with(root.join(path));
    let files = walk(root, skip)?.into_iter().filter(|entry| entry.kind != EntryKind::Directory);
    Ok(files.map(|entry| root.join(entry.path)).collect())
}

/// Makes `to` a copy of the directory `from` in one step; files share their content where they can.
///
/// # Errors
/// Something cannot be read or written.
pub fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    let temporary = Utf8PathBuf::from(format!("{to}.{}.tmp", std::process::id()));
    fs::remove_dir_all(&temporary)?;
    fs::create_dir_all(&temporary)?;
    for entry in walk(from, |_| false)? {
        let whole = temporary.join(&entry.path);
        match entry.kind {
            EntryKind::Directory => fs::create_dir_all(&whole)?,
            EntryKind::File(_) => fs::link(&from.join(&entry.path), &whole)?,
            EntryKind::Link => {}
        }
    }
    match fs::rename(&temporary, to) {
        // Another process was faster, with the same.
        Err(_) if to.exists() => fs::remove_dir_all(&temporary),
        renamed => renamed,
    }
}
