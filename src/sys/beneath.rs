//! Writing a tree of files from untrusted names: every path is opened component by component from
//! one directory, without following links, so that nothing outside of it can be reached.
#![allow(clippy::disallowed_methods, reason = "like `sys::fs`, this module accesses files")]

use std::{fs::File, io::Read, os::fd::OwnedFd};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT},
    io::Errno,
};

use crate::{build::cache::Time, model::error::Result, sys::fs};

/// A new directory that is filled.
#[derive(Debug)]
pub struct Tree {
    path: Utf8PathBuf,
    root: OwnedFd,
    /// The directory that was opened last, by its path relative to the root: entries come sorted.
    last: Option<(Utf8PathBuf, OwnedFd)>,
}

/// Opens a directory, but not through a link.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const NEW_DIRECTORY: Mode = Mode::from_raw_mode(0o755);

impl Tree {
    /// Creates the directory, which must not exist.
    ///
    /// # Errors
    /// It exists, or cannot be created.
    pub fn create(path: &Utf8Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let failed = |error: Errno| fs::file_error("create directory", path, error.into());
        rustix::fs::mkdir(path.as_std_path(), NEW_DIRECTORY).map_err(failed)?;
        let root = rustix::fs::openat(CWD, path.as_std_path(), DIRECTORY, Mode::empty())
            .map_err(failed)?;
        Ok(Tree { path: path.to_owned(), root, last: None })
    }

    /// Creates a directory and those above it.
    ///
    /// # Errors
    /// One of them cannot be created, or is not a directory.
    pub fn directory(&mut self, path: &Utf8Path) -> Result<()> {
        self.open(path).map(|_| ())
    }

    /// Creates a regular file with this content, executable or not, and this time.
    ///
    /// # Errors
    /// It exists, or cannot be written.
    pub fn file(
        &mut self,
        path: &Utf8Path,
        content: &mut impl Read,
        executable: bool,
        time: Option<Time>,
    ) -> Result<()> {
        let whole = self.path.join(path);
        let failed = |error: std::io::Error| fs::file_error("write", &whole, error);
        let (parent, name) = self.parent(path)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
        let file = rustix::fs::openat(parent, name, flags, mode).map_err(|e| failed(e.into()))?;
        let mut file = File::from(file);
        std::io::copy(content, &mut file).map_err(failed)?;
        if let Some(time) = time {
            rustix::fs::futimens(&file, &timestamps(time)).map_err(|e| failed(e.into()))?;
        }
        Ok(())
    }

    /// Gives the file `from` of this tree a second name.
    ///
    /// # Errors
    /// It cannot be linked.
    pub fn hard_link(&mut self, from: &Utf8Path, to: &Utf8Path) -> Result<()> {
        let whole = self.path.join(to);
        let failed = |error: Errno| fs::file_error("link", &whole, error.into());
        let (source, source_name) = self.parent(from)?;
        let source = rustix::io::fcntl_dupfd_cloexec(source, 0).map_err(failed)?;
        let (parent, name) = self.parent(to)?;
        // Without AT_SYMLINK_FOLLOW.
        rustix::fs::linkat(source, source_name, parent, name, AtFlags::empty()).map_err(failed)
    }

    /// Creates a symbolic link with this text and time.
    ///
    /// # Errors
    /// It exists, or cannot be created.
    pub fn symlink(&mut self, text: &str, path: &Utf8Path, time: Option<Time>) -> Result<()> {
        let whole = self.path.join(path);
        let failed = |error: Errno| fs::file_error("link", &whole, error.into());
        let (parent, name) = self.parent(path)?;
        rustix::fs::symlinkat(text, parent, name).map_err(failed)?;
        if let Some(time) = time {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(parent, name, &timestamps(time), flags).map_err(failed)?;
        }
        Ok(())
    }

    /// Returns the directory that contains `path`, and its name there.
    fn parent<'a, 'b>(&'a mut self, path: &'b Utf8Path) -> Result<(&'a OwnedFd, &'b str)> {
        let name = path.file_name().unwrap_or_default();
        Ok((self.open(path.parent().unwrap_or(Utf8Path::new("")))?, name))
    }

    /// Opens a directory of the tree, and creates what is missing.
    fn open(&mut self, path: &Utf8Path) -> Result<&OwnedFd> {
        if path.as_str().is_empty() {
            return Ok(&self.root);
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let mut at: Option<OwnedFd> = None;
            for part in path.components() {
                let from = at.as_ref().unwrap_or(&self.root);
                let part = part.as_str();
                let made = match rustix::fs::mkdirat(from, part, NEW_DIRECTORY) {
                    Ok(()) | Err(Errno::EXIST) => Ok(()),
                    Err(error) => Err(error),
                };
                let opened = made
                    .and_then(|()| rustix::fs::openat(from, part, DIRECTORY, Mode::empty()))
                    .map_err(|error| {
                        fs::file_error("create directory", &self.path.join(path), error.into())
                    })?;
                at = Some(opened);
            }
            self.last = at.map(|fd| (path.to_owned(), fd));
        }
        Ok(self.last.as_ref().map_or(&self.root, |(_, fd)| fd))
    }
}

fn timestamps(time: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: time.0, tv_nsec: i64::from(time.1.min(999_999_999)) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_never_followed() {
        let dir = fs::TempDir::new("longshore-beneath-test").unwrap();
        let outside = dir.path.join("outside");
        fs::create_dir_all(&outside).unwrap();
        fs::write(&outside.join("victim"), b"precious").unwrap();
        let root = dir.path.join("tree");
        let mut tree = Tree::create(&root).unwrap();
        assert!(Tree::create(&root).is_err());
        tree.file("a/b".into(), &mut &b"1"[..], true, Some((7, 8))).unwrap();
        tree.hard_link("a/b".into(), "c/d".into()).unwrap();
        tree.symlink(outside.as_str(), "l".into(), None).unwrap();
        tree.symlink(outside.join("victim").as_str(), "v".into(), Some((9, 0))).unwrap();
        assert!(tree.file("l/new".into(), &mut &b"2"[..], false, None).is_err());
        assert!(tree.file("v".into(), &mut &b"2"[..], false, None).is_err());
        assert!(tree.directory("l".into()).is_err());
        assert!(tree.hard_link("a/b".into(), "v".into()).is_err());
        assert_eq!(fs::names(&outside).unwrap(), ["victim"]);
        assert_eq!(fs::read(&outside.join("victim")).unwrap(), b"precious");
        assert_eq!(fs::read(&root.join("c/d")).unwrap(), b"1");
        assert_eq!(crate::sys::tree::time(&root.join("a/b")), Some((7, 8)));
    }
}
