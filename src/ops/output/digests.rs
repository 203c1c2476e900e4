//! Digests of packed files, each computed once.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use camino::Utf8Path;

use crate::{
    model::{
        digest::Digest,
        error::Result,
        source::{ReadAt as _, Source},
    },
    ops::verify::kind::FileKind,
    sys::{
        file::{self, FileStamp, OpenFile},
        fs,
    },
};

/// The properties of a file that are needed before it is packed.
#[derive(Clone, Copy)]
pub(in crate::ops) struct DigestedFile {
    pub(in crate::ops) digest: Digest,
    pub(in crate::ops) size: u64,
    /// Whether it is a program or a part of one, for any system.
    pub(in crate::ops) is_program: bool,
    pub(in crate::ops) stamp: FileStamp,
}

/// The digests of files below one directory, each computed once.
#[derive(Default)]
pub(in crate::ops) struct Digests(Mutex<BTreeMap<String, DigestedFile>>);

/// The number of bytes of a file that determine whether it is a program.
const START_SIZE: u64 = 64;

impl Digests {
    /// Returns the content of the file `name` below `root`, which has to match `stamp`, if that is known.
    ///
    /// # Errors
    /// It cannot be read, or changed.
    pub(in crate::ops) fn get(
        &self,
        root: &Utf8Path,
        name: &str,
        stamp: Option<FileStamp>,
    ) -> Result<DigestedFile> {
        let path = root.join(name);
        let mut content = file::open_watched(&path, stamp)?;
        let stamp = content.stamp();
        if let Some(file) = self.cached(name, stamp) {
            return Ok(file);
        }
        let mut program = false;
        let hashed = fs::hash(&mut content, |start| program = FileKind::detect(start).is_binary());
        let (digest, size) = hashed.map_err(|error| fs::file_error("read", &path, error))?;
        let file = DigestedFile { digest, size, is_program: program, stamp };
        self.lock().insert(name.to_owned(), file);
        Ok(file)
    }

    /// Opens the file `name` below `root`, and returns it with its digest.
    ///
    /// # Errors
    /// It cannot be read, or changes meanwhile.
    pub(in crate::ops) fn open(
        &self,
        root: &Utf8Path,
        name: &str,
    ) -> Result<(OpenFile, DigestedFile)> {
        let path = root.join(name);
        let unread = |error| fs::file_error("read", &path, error);
        let open = file::open(&path)?;
        let stamp = open.stamp().map_err(unread)?;
        if let Some(file) = self.cached(name, stamp) {
            return Ok((open, file));
        }
        let digest =
            Source::File(&open).digest().map_err(|error| unread(io::Error::other(error)))?;
        let file = self.add(&path, name, &open, digest)?;
        if file.stamp != stamp {
            return Err(unread(io::Error::other("it changed while it was read")));
        }
        Ok((open, file))
    }

    /// Records the digest of the file `name` below `root`, which was computed as it was written.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(in crate::ops) fn record(&self, root: &Utf8Path, name: &str, digest: Digest) -> Result<()> {
        let path = root.join(name);
        self.add(&path, name, &file::open(&path)?, digest).map(drop)
    }

    fn add(
        &self,
        path: &Utf8Path,
        name: &str,
        open: &OpenFile,
        digest: Digest,
    ) -> Result<DigestedFile> {
        let unread = |error| fs::file_error("read", path, error);
        let start = Source::File(open).read_up_to(0, START_SIZE);
        let start = start.map_err(|error| unread(io::Error::other(error)))?;
        let stamp = open.stamp().map_err(unread)?;
        let file = DigestedFile {
            digest,
            size: open.size(),
            is_program: FileKind::detect(&start).is_binary(),
            stamp,
        };
        self.lock().insert(name.to_owned(), file);
        Ok(file)
    }

    fn cached(&self, name: &str, stamp: FileStamp) -> Option<DigestedFile> {
        self.lock().get(name).filter(|known| known.stamp == stamp).copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, DigestedFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
