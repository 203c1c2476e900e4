//! Files that are read piece by piece.
#![allow(clippy::disallowed_methods, reason = "files are touched here and in `fs`")]

use std::{
    fs::File,
    io::Read,
    ops::Range,
    os::unix::fs::{FileExt, PermissionsExt},
};

use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{TempDir, failed};
use crate::{elf::ReadAt, error::Result};

/// A file that is read at any place, by as many threads as want to.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    size: u64,
}

/// Opens the file to be read.
///
/// # Errors
/// It cannot be opened.
pub fn open(path: &Utf8Path) -> Result<OpenFile> {
    let opened = File::open(path).and_then(|file| {
        let size = file.metadata()?.len();
        Ok(OpenFile { file, size })
    });
    opened.map_err(|error| failed("read", path, error))
}

impl OpenFile {
    /// Reads a part of it from its beginning to its end.
    pub fn reader(&self, range: Range<u64>) -> Reader<&OpenFile> {
        Reader { file: self, range }
    }

    /// As [`OpenFile::reader`], and keeps the file open as long as that.
    pub fn into_reader(self, range: Range<u64>) -> Reader<OpenFile> {
        Reader { file: self, range }
    }
}

impl ReadAt for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
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
        let failed = |error| failed("unpack to", &path, error);
        let mut file = File::create(&path).map_err(failed)?;
        std::io::copy(content, &mut file).map_err(failed)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        drop(file);
        Ok(Spool { file: open(&path)?, path, _dir: dir })
    }

    /// The file.
    pub fn file(&self) -> &OpenFile {
        &self.file
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }
}
