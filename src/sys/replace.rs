//! Replacing a directory in one step: a reader sees the old content or the new.
#![allow(clippy::disallowed_methods, reason = "like `sys::fs`, this module writes files")]

use std::{fs::Permissions, io::ErrorKind, os::unix::fs::PermissionsExt};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use super::{
    Context, durable,
    fs::{self, file_error},
    temporary,
    tree::{self, EntryKind},
};
use crate::model::error::{Error, Result};

/// Returns the absolute path `path` without `.`, `..` and links. What does not exist yet is kept as
/// it is written.
///
/// # Errors
/// A link leads nowhere, or a part of the path is not a directory or cannot be read.
pub fn resolve(path: &Utf8Path) -> Result<Utf8PathBuf> {
    let mut real = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => drop(real.pop()),
            Utf8Component::Prefix(_) | Utf8Component::RootDir => real.push(component.as_str()),
            Utf8Component::Normal(name) => {
                real.push(name);
                match real.symlink_metadata() {
                    Ok(meta) if meta.is_symlink() => real = resolve_link(&real)?,
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(file_error("read", &real, error));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(real)
}

fn resolve_link(link: &Utf8Path) -> Result<Utf8PathBuf> {
    match link.canonicalize_utf8() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let target = fs::read_link(link)?;
            Err(Error::usage(format!("`{link}` is a link to `{target}`, which does not exist"))
                .hint("create that directory, or remove the link"))
        }
        real => real.map_err(|error| file_error("follow", link, error)),
    }
}

/// The reason for which a directory cannot be renamed, although its parent directory can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameObstacle {
    /// Something is mounted there.
    MountPoint,
    /// It is on a lower layer of an overlay, or has a separate quota: the file system renames only
    /// copies of it.
    CopyOnly,
}

/// Tests whether the directory `dir` can be renamed, and renames nothing. `other` is an existing
/// directory beside it that is not empty.
///
/// # Errors
/// It cannot be renamed, for a reason that is not one of [`RenameObstacle`].
pub fn try_rename(dir: &Utf8Path, other: &Utf8Path) -> Result<Option<RenameObstacle>> {
    // Checked last, after permissions, mount points and what the file system itself rejects: a
    // directory that is not empty is never replaced (rename(2)).
    match rustix::fs::rename(dir.as_std_path(), other.as_std_path()) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(None),
        Err(Errno::BUSY) => Ok(Some(RenameObstacle::MountPoint)),
        Err(Errno::XDEV) => Ok(Some(RenameObstacle::CopyOnly)),
        Err(error) => Err(file_error("replace", dir, error.into())
            .hint("check owner and mode of its parent directory")),
        // A file system that does not know that rule: as it was.
        Ok(()) => fs::rename(other, dir).map(|()| None),
    }
}

/// Makes `to` a complete copy of the directory `from` with modes and times.
///
/// # Errors
/// Something cannot be read or written.
pub fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    create_dir(to)?;
    let entries = tree::walk(from, |_| false)?;
    for entry in &entries {
        let (from, to) = (from.join(&entry.path), to.join(&entry.path));
        match entry.kind {
            EntryKind::Directory => create_dir(&to)?,
            EntryKind::File(_) => fs::copy(&from, &to)?,
            EntryKind::Link => fs::symlink(fs::read_link(&from)?.as_str().into(), &to)?,
        }
    }
    // From the innermost on, since every new name changes the time of its directory.
    for entry in entries.iter().rev().filter(|entry| entry.kind == EntryKind::Directory) {
        tree::set_time(&to.join(&entry.path), entry.time, false)?;
    }
    durable::sync_tree(to)
}

/// Creates a directory with mode 0755, whatever the umask is. It must not exist.
///
/// # Errors
/// It exists, or cannot be created.
pub fn create_dir(path: &Utf8Path) -> Result<()> {
    std::fs::create_dir(path)
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(0o755)))
        .map_err(|error| file_error("create directory", path, error))
}

/// Renames the directory `new` to `old`, in one step. A previous directory `old` is then `new`.
/// `aside` is an unused path beside them, for file systems that cannot exchange two directories.
///
/// # Errors
/// A directory cannot be renamed; both are as they were.
pub fn exchange(new: &Utf8Path, old: &Utf8Path, aside: &Utf8Path) -> Result<()> {
    if old.symlink_metadata().is_err() {
        fs::rename(new, old)?;
        return durable::sync_parent(old).map_err(|error| file_error("replace", old, error));
    }
    // renameat2(2) with RENAME_EXCHANGE, renamex_np(2) with RENAME_SWAP on macOS.
    match renameat_with(CWD, new.as_std_path(), CWD, old.as_std_path(), RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(error) if is_unsupported(error) => exchange_by_renames(new, old, aside)?,
        Err(error) => return Err(file_error("replace", old, error.into())),
    }
    durable::sync_parent(old).map_err(|error| file_error("replace", old, error))
}

/// Returns whether the kernel or the file system cannot exchange two directories at all.
fn is_unsupported(error: Errno) -> bool {
    [Errno::NOSYS, Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP].contains(&error)
}

/// Exchanges two directories in three steps. If the program is killed after the first, the next run
/// finds the old directory as `aside`.
fn exchange_by_renames(new: &Utf8Path, old: &Utf8Path, aside: &Utf8Path) -> Result<()> {
    fs::rename(old, aside)?;
    if let Err(error) = fs::rename(new, old) {
        return Err(match fs::rename(aside, old) {
            Ok(()) => error,
            Err(undo) => Error::build(format!("{error}; {undo}"))
                .hint(format!("the previous output is `{aside}`: rename it to `{old}`")),
        });
    }
    // The new directory has its name: what fails from here on is left for the next run.
    let _ = fs::rename(aside, new);
    Ok(())
}

/// Removes a directory that is no longer needed. One that cannot be removed gets an unused name, and
/// a warning says which: it must not make this run or the next one fail.
pub fn discard(cx: &Context, dir: &Utf8Path) {
    let Err(error) = fs::remove_dir_all(dir) else { return };
    let mut left = dir.to_owned();
    for _ in 0..16 {
        let aside = Utf8PathBuf::from(format!("{dir}.{:016x}", temporary::random()));
        if aside.symlink_metadata().is_err() && fs::rename(dir, &aside).is_ok() {
            left = aside;
            break;
        }
    }
    cx.warn(format!(
        "the rest of the previous output could not be removed ({error}); remove `{left}` \
         yourself"
    ));
}
