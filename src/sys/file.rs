//! Files that are read in chunks.
#![allow(clippy::disallowed_methods, reason = "files are touched here and in `fs`")]

use std::{
    fs::File,
    io::Read,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags};

use super::fs::{TempDir, file_error};
use crate::{
    build::cache::Time,
    model::{error::Result, source::ReadAt},
};

/// A file that is read at any offset, by any number of threads.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    size: u64,
    mode: u32,
    /// The beginning and the end, where the tables of programs are: two reads take the place of
    /// some thirty.
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// The number of bytes that are read of a file's beginning, and of its end.
const HEAD_SIZE: u64 = 24 << 10;
const TAIL_SIZE: u64 = 6 << 10;

/// Opens the file to be read.
///
/// # Errors
/// It cannot be opened, or is not a regular file.
pub fn open(path: &Utf8Path) -> Result<OpenFile> {
    // Does not wait: a pipe without a writer is not a regular file either.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path.as_std_path(), flags, Mode::empty());
    let opened = opened.map_err(std::io::Error::from).and_then(|file| {
        let file = File::from(file);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(std::io::Error::other("it is not a regular file"));
        }
        let (size, mode) = (meta.len(), meta.permissions().mode() & 0o7777);
        let chunk = |at: u64, len: u64| {
            let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
            // It may have become shorter; a caller that reads these bytes gets an error then.
            let read = file.read_exact_at(&mut bytes, at);
            read.map(|()| bytes).unwrap_or_default()
        };
        let head = chunk(0, size.min(HEAD_SIZE));
        let rest = size - size.min(HEAD_SIZE);
        let tail = chunk(size - rest.min(TAIL_SIZE), rest.min(TAIL_SIZE));
        Ok(OpenFile { file, size, mode, head, tail })
    });
    opened.map_err(|error| file_error("read", path, error))
}

impl OpenFile {
    /// Returns the lowest twelve bits of its mode.
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// Returns whether it gives capabilities to the process that starts it (capabilities(7), "File
    /// capabilities").
    pub fn has_capabilities(&self) -> bool {
        let mut value = [0; 64];
        rustix::fs::fgetxattr(&self.file, "security.capability", &mut value).is_ok()
    }

    /// Returns the current state of the file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn stamp(&self) -> std::io::Result<FileStamp> {
        FileStamp::from_file(&self.file)
    }

    /// Reads a part of it from its beginning to its end.
    pub fn reader(&self, range: Range<u64>) -> Reader<&OpenFile> {
        Reader { file: self, range }
    }

    /// Does as [`OpenFile::reader`], and keeps the file open until the reader is dropped.
    pub fn into_reader(self, range: Range<u64>) -> Reader<OpenFile> {
        Reader { file: self, range }
    }
}

impl ReadAt for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        let tail = self.size.saturating_sub(self.tail.len() as u64);
        for (start, known) in [(0, &self.head), (tail, &self.tail)] {
            let at = offset.checked_sub(start).and_then(|at| usize::try_from(at).ok());
            let end = at.and_then(|at| at.checked_add(buffer.len()));
            if let Some(bytes) = at.zip(end).and_then(|(at, end)| known.get(at..end)) {
                buffer.copy_from_slice(bytes);
                return Ok(());
            }
        }
        self.file.read_exact_at(buffer, offset)
    }
}

impl AsRef<OpenFile> for OpenFile {
    fn as_ref(&self) -> &OpenFile {
        self
    }
}

/// A part of a file, as a stream.
#[derive(Debug)]
pub struct Reader<F> {
    file: F,
    range: Range<u64>,
}

impl<F: AsRef<OpenFile>> Read for Reader<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.range.end.saturating_sub(self.range.start);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.as_ref().file.read_at(&mut buffer[..most], self.range.start)?;
        self.range.start += count as u64;
        Ok(count)
    }
}

/// The properties that distinguish one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Its size in bytes.
    pub size: u64,
    /// Its modification time.
    pub time: Time,
    /// Device and inode.
    pub inode: (u64, u64),
}

/// Opens a file that has to be as `stamp` has it, when it is opened and when it has been read.
///
/// # Errors
/// It cannot be opened, or changed since.
pub fn open_watched(path: &Utf8Path, stamp: Option<FileStamp>) -> Result<Watched> {
    let opened = File::open(path).and_then(|file| {
        let watched = Watched { stamp: FileStamp::from_file(&file)?, file };
        match stamp.is_some_and(|stamp| stamp != watched.stamp) {
            true => Err(changed_error()),
            false => Ok(watched),
        }
    });
    opened.map_err(|error| file_error("read", path, error))
}

fn changed_error() -> std::io::Error {
    std::io::Error::other("it changed while it was being packed")
}

impl FileStamp {
    fn from_file(file: &File) -> std::io::Result<Self> {
        let meta = file.metadata()?;
        let time = (meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap_or(0));
        Ok(FileStamp { size: meta.len(), time, inode: (meta.dev(), meta.ino()) })
    }
}

/// A file that must not change while it is read.
#[derive(Debug)]
pub struct Watched {
    file: File,
    stamp: FileStamp,
}

impl Watched {
    /// Returns the state of the file when it was opened.
    pub fn stamp(&self) -> FileStamp {
        self.stamp
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        if count == 0 && !buffer.is_empty() && FileStamp::from_file(&self.file)? != self.stamp {
            return Err(changed_error());
        }
        Ok(count)
    }
}

/// A stream that was written to a temporary file, which goes with the value.
#[derive(Debug)]
pub struct Spool {
    file: OpenFile,
    path: Utf8PathBuf,
    _dir: TempDir,
}

impl Spool {
    /// Writes all of `content` to an executable file that only this user can read.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn new(content: &mut dyn Read) -> Result<Self> {
        let dir = TempDir::new("longshore-unpacked")?;
        let path = dir.path.join("file");
        let error_for = |error| file_error("unpack to", &path, error);
        let mut file = File::create(&path).map_err(error_for)?;
        std::io::copy(content, &mut file).map_err(error_for)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o700)).map_err(error_for)?;
        drop(file);
        Ok(Spool { file: open(&path)?, path, _dir: dir })
    }

    /// Returns the file.
    pub fn file(&self) -> &OpenFile {
        &self.file
    }

    /// Returns its path.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_change_while_read_are_an_error() {
        let dir = TempDir::new("longshore-watched").unwrap();
        let path = dir.path.join("file");
        std::fs::write(&path, "before").unwrap();
        let stamp = open_watched(&path, None).unwrap().stamp();
        let mut text = String::new();
        open_watched(&path, Some(stamp)).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "before");
        let mut open = open_watched(&path, Some(stamp)).unwrap();
        std::fs::write(&path, "afterwards").unwrap();
        let error = open.read_to_string(&mut text).unwrap_err();
        assert!(error.to_string().contains("changed while"), "{error}");
        let error = open_watched(&path, Some(stamp)).unwrap_err();
        assert!(error.to_string().contains("changed while"), "{error}");
    }
}
