//! Files. Every error names the path; every output is written to a temporary name and renamed.
#![allow(clippy::disallowed_methods, reason = "this is the only module that accesses files")]

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::io::Errno;

use super::{Context, replace, temporary};
pub use super::{
    directory::{is_empty as is_empty_dir, names, source_names},
    lock::{Lock, OutputLock, lock, lock_output},
    replace::resolve,
    temporary::{Draft, TempDir, draft},
};
use crate::model::{
    digest::{Digest, Hasher},
    error::{Error, Result},
    source::Source,
};

/// Returns the error of a file operation: the operation, the path, and a hint if the reason has a known
/// remedy.
pub fn file_error(doing: &str, path: &Utf8Path, error: std::io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free some space; the previous output is untouched")
        }
        ErrorKind::PermissionDenied => Some("check its owner and mode"),
        ErrorKind::ReadOnlyFilesystem => Some("choose another directory with `--target-dir`"),
        _ => None,
    };
    let error = Error::build(format!("cannot {doing} `{path}`")).because(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Returns the complete content of the file.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Utf8Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| file_error("read", path, error))
}

/// Returns the complete content of the file as text; `None` if the file is absent.
///
/// # Errors
/// It is there, but cannot be read; a usage error if it is not UTF-8.
pub fn read_to_string_if_exists(path: &Utf8Path) -> Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => parse_utf8(path, bytes).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error("read", path, error)),
    }
}

/// Returns the content of a file as text.
fn parse_utf8(path: &Utf8Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let (before, rest) = error.as_bytes().split_at_checked(valid).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let found = rest.first().map_or(String::new(), |byte| format!(", found byte 0x{byte:02x}"));
        let from = match error.as_bytes() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16",
            _ => "ISO-8859-1",
        };
        Error::usage(format!("{path}:{line}: expected UTF-8 text{found}"))
            .hint(format!("convert it, for example with `iconv -f {from} -t UTF-8`"))
    })
}

/// Returns the first `limit` bytes of the file.
///
/// # Errors
/// It cannot be read.
pub fn read_start(path: &Utf8Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| file_error("read", path, error))?;
    Ok(bytes)
}

/// The kind of file at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File {
        /// Its size in bytes.
        size: u64,
        /// The lowest twelve bits of its mode.
        mode: u32,
    },
    /// A directory.
    Directory,
    /// A symbolic link, where links are not followed.
    Link,
    /// A device, a socket or a pipe: reading it may never end.
    Other,
}

impl From<&std::fs::Metadata> for FileType {
    fn from(meta: &std::fs::Metadata) -> Self {
        let mode = meta.permissions().mode() & 0o7777;
        match meta.file_type() {
            kind if kind.is_file() => FileType::File { size: meta.len(), mode },
            kind if kind.is_dir() => FileType::Directory,
            kind if kind.is_symlink() => FileType::Link,
            _ => FileType::Other,
        }
    }
}

/// Returns the kind of file at `path`, or if `follow` is set, at the end of the links there.
///
/// # Errors
/// There is nothing, or its metadata cannot be read.
pub fn file_type(path: &Utf8Path, follow: bool) -> Result<FileType> {
    let meta = if follow { path.metadata() } else { path.symlink_metadata() };
    meta.map(|meta| FileType::from(&meta)).map_err(|error| file_error("read", path, error))
}

/// Returns whether it is a file that every user may run.
pub fn is_program(path: &Utf8Path) -> bool {
    matches!(file_type(path, true), Ok(FileType::File { mode, .. }) if mode & 0o111 == 0o111)
}

/// Returns the digest and size of the file, read once in chunks.
///
/// # Errors
/// It cannot be read.
pub fn digest(path: &Utf8Path) -> Result<(Digest, u64)> {
    let hashed = File::open(path).and_then(|file| hash(file, |_| {}));
    hashed.map_err(|error| file_error("read", path, error))
}

/// Returns the digest of all bytes of `content`, and how many they are. `first` gets the beginning.
///
/// # Errors
/// It cannot be read.
pub fn hash(mut content: impl Read, first: impl FnOnce(&[u8])) -> std::io::Result<(Digest, u64)> {
    // A size that stays in a processor's own cache between reading and hashing.
    const BUFFER_SIZE: usize = 64 << 10;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut first = Some(first);
    loop {
        let count = match content.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            count => count?,
        };
        let part = buffer.get(..count).unwrap_or_default();
        if let Some(first) = first.take() {
            first(part);
        }
        if part.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.update(part);
    }
}

/// Sets the modification time of a file or directory, in seconds since 1970.
///
/// # Errors
/// It cannot be opened or changed.
pub fn set_time(path: &Utf8Path, epoch: u64) -> Result<()> {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(epoch);
    let set = File::open(path).and_then(|file| file.set_modified(time));
    set.map_err(|error| file_error("set the time of", path, error))
}

/// Returns the target of the symbolic link.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn read_link(path: &Utf8Path) -> Result<String> {
    path.read_link_utf8().map(Into::into).map_err(|error| file_error("read link", path, error))
}

/// Writes the file in one step: a reader sees the old content or the new one.
///
/// # Errors
/// It cannot be written; the old content is still there.
pub fn write(path: &Utf8Path, bytes: &[u8]) -> Result<()> {
    write_mode(path, bytes, 0o644)
}

/// Does as [`write()`], with the permission bits `mode` whatever the umask is.
///
/// # Errors
/// It cannot be written; the old content is still there.
pub fn write_mode(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<()> {
    check_replaceable(path)?;
    let parent = directory_of(path);
    create_dir_all(parent)?;
    let mut draft = draft(parent)?;
    draft.write_all(bytes).map_err(|error| file_error("write", path, error))?;
    draft.persist_with_mode(path, mode)
}

/// Writes the bytes of `source` to a file in one step, with the permission bits `mode` and the
/// modification time `epoch`. Returns their digest.
///
/// # Errors
/// The source cannot be read, or the file cannot be written; the old content is still there.
pub fn write_from(path: &Utf8Path, source: Source<'_>, mode: u32, epoch: u64) -> Result<Digest> {
    const CHUNK: u64 = 256 << 10;
    check_replaceable(path)?;
    let parent = directory_of(path);
    create_dir_all(parent)?;
    let (mut draft, mut hasher) = (draft(parent)?, Hasher::default());
    let error_for = |error| file_error("write", path, error);
    for at in (0..source.size()).step_by(CHUNK as usize) {
        let chunk = source
            .read_up_to(at, CHUNK)
            .map_err(|error| error_for(std::io::Error::other(error)))?;
        draft.write_all(&chunk).map_err(error_for)?;
        hasher.update(&chunk);
    }
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(epoch);
    draft.set_modified(time).map_err(error_for)?;
    draft.persist_with_mode(path, mode)?;
    Ok(hasher.finish().0)
}

/// Returns the directory that contains a file: `.` for a name alone.
fn directory_of(path: &Utf8Path) -> &Utf8Path {
    let parent = path.parent().filter(|parent| !parent.as_str().is_empty());
    parent.unwrap_or(Utf8Path::new("."))
}

/// Checks that `path` is a regular file or does not exist: a file that is renamed over a device or a
/// pipe, `/dev/null` for one, would take its place.
///
/// # Errors
/// Something else is there.
pub fn check_replaceable(path: &Utf8Path) -> Result<()> {
    let Ok(meta) = path.metadata() else { return Ok(()) };
    let kind = meta.file_type();
    let what = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "directory",
        kind if kind.is_fifo() => "named pipe",
        kind if kind.is_socket() => "socket",
        _ => "device",
    };
    Err(Error::usage(format!("cannot write `{path}`: expected a regular file, found a {what}"))
        .hint("choose another path"))
}

/// Returns `path` without links, `.` and `..`.
///
/// # Errors
/// There is nothing, or its name is not UTF-8.
pub fn canonicalize(path: &Utf8Path) -> Result<Utf8PathBuf> {
    path.canonicalize_utf8().map_err(|error| file_error("find", path, error))
}

/// Opens the file for lines to be added at its end, and creates it and its directories.
///
/// # Errors
/// It cannot be created.
pub fn append(path: &Utf8Path) -> Result<impl Write + Send + use<>> {
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(|error| file_error("create", path, error))
}

/// Creates the directory and those above it.
///
/// # Errors
/// One of them cannot be created.
pub fn create_dir_all(path: &Utf8Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| file_error("create directory", path, error))
}

/// Removes the directory and all below it; nothing when it is not there.
///
/// # Errors
/// It is there and cannot be removed.
pub fn remove_dir_all(path: &Utf8Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(file_error("remove directory", path, error))
        }
        _ => Ok(()),
    }
}

/// Removes the file; nothing when it is not there.
///
/// # Errors
/// It is there and cannot be removed.
pub fn remove_file(path: &Utf8Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(file_error("remove", path, error)),
        _ => Ok(()),
    }
}

/// Renames `from` to `to`.
///
/// # Errors
/// It cannot be renamed.
pub fn rename(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|error| file_error("rename to", to, error))
}

/// Makes `to` a second name of the file `from`, in one step: a hard link, or a copy where the file
/// system cannot link the two. A hard link writes nothing and keeps inode, mode and time. Other names
/// of a previous file `to` keep its content.
///
/// # Errors
/// The file can neither be linked nor copied.
pub fn link(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    create_dir_all(directory_of(to))?;
    let linked = match std::fs::hard_link(from, to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if is_same_file(from, to) {
                return Ok(());
            }
            let temporary = temporary::unused_sibling(to);
            std::fs::hard_link(from, &temporary).and_then(|()| {
                let renamed = std::fs::rename(&temporary, to);
                // It is still there, too, if `to` has become another name of the same file.
                let _ = std::fs::remove_file(&temporary);
                renamed
            })
        }
        linked => linked,
    };
    match linked {
        Err(error) if cannot_link(&error) => copy(from, to),
        linked => linked.map_err(|error| file_error("write", to, error)),
    }
}

/// Returns whether a file system cannot link two files that it might copy: they are on different ones,
/// the file belongs to another user (proc_sys_fs(5), "protected_hardlinks"), it has too many names, or
/// there are no hard links.
fn cannot_link(error: &std::io::Error) -> bool {
    let unsupported =
        [Errno::XDEV, Errno::PERM, Errno::MLINK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|errno| unsupported.contains(&errno))
}

/// Returns whether two paths are names of one file. Links are not followed.
pub fn is_same_file(one: &Utf8Path, other: &Utf8Path) -> bool {
    match (one.symlink_metadata(), other.symlink_metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Copies a file with its mode and time to `to`, in one step.
///
/// # Errors
/// It cannot be read or written; a previous file `to` is as it was.
pub fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    let mut source = File::open(from).map_err(|error| file_error("read", from, error))?;
    let meta = source.metadata().map_err(|error| file_error("read", from, error))?;
    create_dir_all(directory_of(to))?;
    let mut draft = draft(directory_of(to))?;
    std::io::copy(&mut source, &mut draft).map_err(|error| file_error("write", to, error))?;
    let time = meta.modified().and_then(|time| draft.set_modified(time));
    time.map_err(|error| file_error("write", to, error))?;
    draft.persist_with_mode(to, meta.permissions().mode() & 0o7777)
}

/// Gives the file a separate copy of its content, so that its mode and time can be changed without
/// those of its other names.
///
/// # Errors
/// It cannot be copied.
pub fn unshare(path: &Utf8Path) -> Result<()> {
    let meta = path.symlink_metadata().map_err(|error| file_error("read", path, error))?;
    if meta.is_file() && meta.nlink() > 1 { copy(path, path) } else { Ok(()) }
}

/// Sets the permission bits of a file or directory.
///
/// # Errors
/// They cannot be changed.
pub fn set_mode(path: &Utf8Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error| file_error("set the mode of", path, error))
}

/// Makes `link` a symbolic link to `target`, in one step if it was one to something else.
///
/// # Errors
/// It cannot be made.
pub fn symlink(target: &Utf8Path, link: &Utf8Path) -> Result<()> {
    if link.read_link_utf8().is_ok_and(|old| old == target) {
        return Ok(());
    }
    create_dir_all(directory_of(link))?;
    let temporary = temporary::unused_sibling(link);
    std::os::unix::fs::symlink(target, &temporary)
        .and_then(|()| std::fs::rename(&temporary, link))
        .map_err(|error| {
            let _ = std::fs::remove_file(&temporary);
            file_error("link", link, error)
        })
}

/// Puts the directory `new` in the place of `old` in one step, and removes the previous content. A
/// previous directory that cannot be removed gets another name, and a warning says which.
///
/// # Errors
/// A directory cannot be renamed; `old` is as it was.
pub fn replace_dir(cx: &Context, new: &Utf8Path, old: &Utf8Path) -> Result<()> {
    replace::exchange(new, old, &temporary::unused_sibling(old))?;
    replace::discard(cx, new);
    Ok(())
}

/// Returns the properties that distinguish one state of a file from another without reading it: size,
/// modification time in nanoseconds, inode. `None` if it does not exist.
pub fn stamp(path: &Utf8Path) -> Option<(u64, i128, u64)> {
    let meta = path.metadata().ok()?;
    let time = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    Some((meta.len(), time, meta.ino()))
}
