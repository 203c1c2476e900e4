//! Writing to the disk what must survive a power loss (fsync(2)).
#![allow(clippy::disallowed_methods, reason = "like `sys::fs`, this module writes files")]

use std::{fs::File, io, os::fd::AsFd};

use camino::Utf8Path;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::{
    fs::file_error,
    tree::{self, EntryKind},
};
use crate::model::error::Result;

/// Writes the content of an open file to the disk. File systems without fsync are accepted.
///
/// # Errors
/// The disk is full or fails.
pub fn sync(file: impl AsFd) -> io::Result<()> {
    match rustix::fs::fsync(file) {
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::ROFS | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes the names in a directory to the disk. A directory that must not be read is skipped.
///
/// # Errors
/// The directory does not exist, or the disk fails.
pub fn sync_dir(dir: &Utf8Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(dir.as_std_path(), flags, Mode::empty()) {
        Ok(dir) => sync(dir),
        Err(Errno::ACCESS | Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Does as [`sync_dir`], for the directory that holds `path`.
///
/// # Errors
/// As for [`sync_dir`].
pub fn sync_parent(path: &Utf8Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_str().is_empty());
    sync_dir(parent.unwrap_or(Utf8Path::new(".")))
}

/// Writes every file and directory below `root` to the disk. Files that are on the disk already,
/// such as those that have a name in the previous output, cost little.
///
/// # Errors
/// Something cannot be read, or the disk is full or fails.
pub fn sync_tree(root: &Utf8Path) -> Result<()> {
    for entry in tree::walk(root, |_| false)? {
        let path = root.join(&entry.path);
        let synced = match entry.kind {
            EntryKind::File(_) => File::open(&path).and_then(sync),
            EntryKind::Directory => sync_dir(&path),
            EntryKind::Link => Ok(()),
        };
        synced.map_err(|error| file_error("write", &path, error))?;
    }
    sync_dir(root).map_err(|error| file_error("write", root, error))
}
