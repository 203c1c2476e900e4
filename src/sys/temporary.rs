//! Temporary files and directories: names that cannot be predicted, created exclusively.
#![allow(clippy::disallowed_methods, reason = "like `sys::fs`, this module writes files")]

use std::{
    fs::{File, OpenOptions, Permissions},
    hash::{BuildHasher as _, RandomState},
    io::{ErrorKind, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    time::SystemTime,
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{durable, fs::file_error};
use crate::model::error::{Error, Result};

/// The number of tries with other names when one is taken.
const ATTEMPTS: usize = 16;

/// Returns a random file name that ends with `.tmp`. It begins with the process id, by which
/// `ops::pieces::prune` recognises files of other processes.
fn name() -> String {
    format!("{}.{:016x}.tmp", std::process::id(), random())
}

/// Returns 64 bits that other processes cannot predict: the standard library seeds its hash keys
/// from the operating system.
pub fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Returns an unused path in the directory of `path`.
pub fn unused_sibling(path: &Utf8Path) -> Utf8PathBuf {
    path.parent().unwrap_or(Utf8Path::new("")).join(name())
}

/// Creates a file in `dir` with a random name and mode 0600. An existing file or link is never
/// opened.
///
/// # Errors
/// The file cannot be created.
pub fn create(dir: &Utf8Path) -> Result<(File, Utf8PathBuf)> {
    for attempt in 1.. {
        let path = dir.join(name());
        // `create_new` is O_CREAT with O_EXCL, which does not follow links (open(2)).
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < ATTEMPTS => {}
            Err(error) => return Err(file_error("write", &path, error)),
        }
    }
    Err(Error::build(format!("cannot write to `{dir}`: no unused name")))
}

/// A file that is being written. It is removed unless it is kept.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: Utf8PathBuf,
    kept: bool,
}

/// Creates a draft in an existing directory.
///
/// # Errors
/// The file cannot be created.
pub fn draft(dir: &Utf8Path) -> Result<Draft> {
    let (file, path) = create(dir)?;
    Ok(Draft { file, path, kept: false })
}

impl Draft {
    /// Sets the modification time of the file, after everything is written to it.
    ///
    /// # Errors
    /// The file system rejects it.
    pub fn set_modified(&self, time: SystemTime) -> std::io::Result<()> {
        self.file.set_modified(time)
    }

    /// Removes everything that was written.
    ///
    /// # Errors
    /// The file cannot be changed.
    pub fn restart(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0)).map(drop)
    }

    /// Renames the file to `name` in one step, with mode 0644, after its content is on the disk.
    ///
    /// # Errors
    /// The file cannot be written to the disk or renamed.
    pub fn persist(self, name: &Utf8Path) -> Result<()> {
        self.persist_with_mode(name, 0o644)
    }

    /// Does as [`Draft::persist`], with the permission bits `mode`.
    ///
    /// # Errors
    /// As for [`Draft::persist`].
    pub fn persist_with_mode(mut self, name: &Utf8Path, mode: u32) -> Result<()> {
        let written = self
            .file
            .set_permissions(Permissions::from_mode(mode))
            .and_then(|()| durable::sync(&self.file));
        written.map_err(|error| file_error("write", name, error))?;
        self.rename(name)?;
        durable::sync_parent(name).map_err(|error| file_error("write", name, error))
    }

    /// Does as [`Draft::persist`], but does not wait for the disk: for files in a cache that are compared with their
    /// digests when they are read, since a power loss can leave a part of one.
    ///
    /// # Errors
    /// Its mode cannot be set, or it cannot be renamed.
    pub fn persist_in_cache(mut self, name: &Utf8Path) -> Result<()> {
        let set = self.file.set_permissions(Permissions::from_mode(0o644));
        set.map_err(|error| file_error("write", name, error))?;
        self.rename(name)
    }

    fn rename(&mut self, name: &Utf8Path) -> Result<()> {
        let renamed = std::fs::rename(&self.path, name);
        renamed.map_err(|error| file_error("write", name, error))?;
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

impl Seek for Draft {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // The caller has reported the failure.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A private directory that is removed when the value is dropped.
#[derive(Debug)]
pub struct TempDir {
    /// Its path.
    pub path: Utf8PathBuf,
}

impl TempDir {
    /// Creates a directory in the system's directory for temporary files, with mode 0700.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn new(name: &str) -> Result<Self> {
        let base = Utf8PathBuf::from_path_buf(std::env::temp_dir())
            .map_err(|path| Error::usage(format!("`{}` is not UTF-8", path.display())))?;
        // An empty `TMPDIR` counts as unset.
        let base = if base.as_str().is_empty() { "/tmp".into() } else { base };
        for attempt in 1.. {
            let path = base.join(format!("{name}.{}.{:016x}", std::process::id(), random()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(TempDir { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < ATTEMPTS => {}
                Err(error) => return Err(file_error("create directory", &path, error)),
            }
        }
        Err(Error::build(format!("cannot create a directory in `{base}`: no unused name")))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
