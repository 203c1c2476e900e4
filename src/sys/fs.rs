//! Files. Every error names the path; every output is written to a temporary name and renamed.
#![allow(clippy::disallowed_methods, reason = "this is the one place that touches files")]

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    sync::atomic::{AtomicU64, Ordering},
};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{
    error::{Error, Result},
    oci::{Digest, digest::Hasher},
};

/// The error of a file operation: what was being done, to which path, and a hint where the reason
/// has a known remedy.
pub fn failed(doing: &str, path: &Utf8Path, error: std::io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free some space; the previous output is untouched")
        }
        ErrorKind::PermissionDenied => Some("check who owns it, and its mode"),
        ErrorKind::ReadOnlyFilesystem => Some("choose another place with `--target-dir`"),
        _ => None,
    };
    let error = Error::build(format!("cannot {doing} `{path}`")).because(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The whole content of the file.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Utf8Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| failed("read", path, error))
}

/// The whole content of the file as text; `None` when there is no such file.
///
/// # Errors
/// It is there, but cannot be read, or is not UTF-8.
pub fn read_to_string_if_there(path: &Utf8Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// The first `limit` bytes of the file.
///
/// # Errors
/// It cannot be read.
pub fn read_start(path: &Utf8Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| failed("read", path, error))?;
    Ok(bytes)
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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

/// What stands at `path`, or where `follow` is set, at the end of the links there.
///
/// # Errors
/// There is nothing, or it cannot be looked at.
pub fn kind(path: &Utf8Path, follow: bool) -> Result<Kind> {
    let meta = if follow { path.metadata() } else { path.symlink_metadata() };
    let meta = meta.map_err(|error| failed("read", path, error))?;
    let mode = meta.permissions().mode() & 0o7777;
    Ok(match meta.file_type() {
        kind if kind.is_file() => Kind::File { size: meta.len(), mode },
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_symlink() => Kind::Link,
        _ => Kind::Other,
    })
}

/// Whether it is a file that everybody may run.
pub fn is_program(path: &Utf8Path) -> bool {
    matches!(kind(path, true), Ok(Kind::File { mode, .. }) if mode & 0o111 == 0o111)
}

/// The digest and size of the file, read once in pieces.
///
/// # Errors
/// It cannot be read.
pub fn digest(path: &Utf8Path) -> Result<(Digest, u64)> {
    let hashed = File::open(path).and_then(|file| hash(file, |_| {}));
    hashed.map_err(|error| failed("read", path, error))
}

/// The digest of all that `content` gives, and how many bytes that is. `first` is shown the
/// beginning.
///
/// # Errors
/// It cannot be read.
pub fn hash(mut content: impl Read, first: impl FnOnce(&[u8])) -> std::io::Result<(Digest, u64)> {
    // What stays in a processor's own cache between being read and being hashed.
    const PIECE: usize = 64 << 10;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; PIECE];
    let mut first = Some(first);
    loop {
        let count = match content.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            count => count?,
        };
        let piece = buffer.get(..count).unwrap_or_default();
        if let Some(first) = first.take() {
            first(piece);
        }
        if piece.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.update(piece);
    }
}

/// Sets the modification time of a file or directory, in seconds since 1970.
///
/// # Errors
/// It cannot be opened or changed.
pub fn set_time(path: &Utf8Path, epoch: u64) -> Result<()> {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(epoch);
    let set = File::open(path).and_then(|file| file.set_modified(time));
    set.map_err(|error| failed("set the time of", path, error))
}

/// What the symbolic link leads to.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn read_link(path: &Utf8Path) -> Result<String> {
    path.read_link_utf8().map(Into::into).map_err(|error| failed("read link", path, error))
}

/// Writes the file in one step: whoever reads it sees the old content or the new one.
///
/// # Errors
/// It cannot be written; the old content is still there.
pub fn write(path: &Utf8Path, bytes: &[u8]) -> Result<()> {
    write_mode(path, bytes, 0o644)
}

/// As [`write()`], with the permission bits `mode` whatever the umask says.
///
/// # Errors
/// It cannot be written; the old content is still there.
pub fn write_mode(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    let temporary = Utf8PathBuf::from(format!("{path}.{}.tmp", std::process::id()));
    let result = File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.set_permissions(std::fs::Permissions::from_mode(mode))
        })
        .and_then(|()| std::fs::rename(&temporary, path));
    result.map_err(|error| {
        let _ = std::fs::remove_file(&temporary);
        failed("write", path, error)
    })
}

/// A file that is being written, and goes unless it is kept.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: Utf8PathBuf,
    kept: bool,
}

/// Begins a file in the directory, which has to be there.
///
/// # Errors
/// It cannot be created.
pub fn draft(dir: &Utf8Path) -> Result<Draft> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!("{}.{number}.tmp", std::process::id()));
    let file = File::create(&path).map_err(|error| failed("write", &path, error))?;
    Ok(Draft { file, path, kept: false })
}

impl Draft {
    /// Gives it its name, in one step.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn keep(mut self, name: &Utf8Path) -> Result<()> {
        let mode = std::fs::Permissions::from_mode(0o644);
        let kept = self.file.set_permissions(mode).and_then(|()| std::fs::rename(&self.path, name));
        kept.map_err(|error| failed("write", name, error))?;
        self.kept = true;
        Ok(())
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl std::io::Seek for Draft {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // What failed is told already.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// `path` without links, `.` and `..`.
///
/// # Errors
/// There is nothing, or its name is not UTF-8.
pub fn real(path: &Utf8Path) -> Result<Utf8PathBuf> {
    path.canonicalize_utf8().map_err(|error| failed("find", path, error))
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
    file.map_err(|error| failed("create", path, error))
}

/// Creates the directory and those above it.
///
/// # Errors
/// One of them cannot be created.
pub fn create_dir_all(path: &Utf8Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| failed("create directory", path, error))
}

/// Removes the directory and all below it; nothing when it is not there.
///
/// # Errors
/// It is there and cannot be removed.
pub fn remove_dir_all(path: &Utf8Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(failed("remove directory", path, error))
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
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// Renames `from` to `to`.
///
/// # Errors
/// It cannot be renamed.
pub fn rename(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|error| failed("rename to", to, error))
}

/// Gives the content of `from` a second name `to`: a hard link, or a copy where the file system
/// has none. The file keeps its inode and time: nothing is written.
///
/// # Errors
/// Neither works.
pub fn link(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        create_dir_all(parent)?;
    }
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to).map(|_| ()).map_err(|error| failed("write", to, error))
}

/// Makes `link` a symbolic link to `target`, in one step if it was one to something else.
///
/// # Errors
/// It cannot be made.
pub fn symlink(target: &Utf8Path, link: &Utf8Path) -> Result<()> {
    if link.read_link_utf8().is_ok_and(|old| old == target) {
        return Ok(());
    }
    if let Some(parent) = link.parent() {
        create_dir_all(parent)?;
    }
    let temporary = Utf8PathBuf::from(format!("{link}.{}.tmp", std::process::id()));
    remove_file(&temporary)?;
    std::os::unix::fs::symlink(target, &temporary)
        .and_then(|()| std::fs::rename(&temporary, link))
        .map_err(|error| failed("link", link, error))
}

/// Puts the directory `new` in the place of `old` in one step, and removes what stood there.
/// Whoever looks at `old` sees the one or the other.
///
/// # Errors
/// It cannot be done; `old` is as it was.
pub fn replace_dir(new: &Utf8Path, old: &Utf8Path) -> Result<()> {
    if !old.exists() {
        return rename(new, old);
    }
    // renameat2(2) with RENAME_EXCHANGE, renamex_np(2) with RENAME_SWAP on macOS.
    match renameat_with(CWD, new.as_std_path(), CWD, old.as_std_path(), RenameFlags::EXCHANGE) {
        Ok(()) => remove_dir_all(new),
        // A file system without it (some network and overlay ones): two renames, and the old
        // directory is found again under its other name if the program is killed between them.
        Err(_) => {
            let aside = Utf8PathBuf::from(format!("{old}.old"));
            remove_dir_all(&aside)?;
            rename(old, &aside)?;
            rename(new, old)?;
            remove_dir_all(&aside)
        }
    }
}

/// The names in a directory, sorted; none when it is not there.
///
/// # Errors
/// It is there and cannot be read, or holds a name that is not UTF-8.
pub fn names(path: &Utf8Path) -> Result<Vec<String>> {
    let entries = match path.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("read directory", path, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed("read directory", path, error))?;
        names.push(entry.file_name().to_owned());
    }
    names.sort();
    Ok(names)
}

/// What tells one state of a file from another without reading it: size, modification time in
/// nanoseconds, inode. `None` when it is not there.
pub fn stamp(path: &Utf8Path) -> Option<(u64, i128, u64)> {
    let meta = path.metadata().ok()?;
    let time = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    Some((meta.len(), time, meta.ino()))
}

/// A lock on a file, held until it is dropped (flock(2)).
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Locks the file, and calls `waiting` once if another process holds it.
///
/// # Errors
/// The file cannot be opened or locked.
pub fn lock(path: &Utf8Path, waiting: impl FnOnce()) -> Result<Lock> {
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| failed("open", path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock().map_err(|error| failed("lock", path, error))?;
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", path, error)),
    }
    Ok(Lock { _file: file })
}

/// A directory of its own that goes with the value.
#[derive(Debug)]
pub struct TempDir {
    /// Where it is.
    pub path: Utf8PathBuf,
}

impl TempDir {
    /// Makes one, in the system's place for temporary files, that only this user can read.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let base = Utf8PathBuf::from_path_buf(std::env::temp_dir())
            .map_err(|path| Error::usage(format!("`{}` is not UTF-8", path.display())))?;
        // An empty `TMPDIR` counts as unset.
        let base = if base.as_str().is_empty() { "/tmp".into() } else { base };
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("{name}.{}.{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(TempDir { path }),
                // Left behind by a process that had this number before.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("create directory", &path, error)),
            }
        }
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
