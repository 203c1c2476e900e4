//! The directory that a confined program has as its root.
#![allow(
    clippy::disallowed_methods,
    reason = "it holds files that another user must be able to read"
)]

use std::{fs, os::unix::fs::PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::error::Result,
    sys::fs::{TempDir, file_error, link},
};

/// A directory that holds a program, its emulator, and nothing else.
#[derive(Debug)]
pub struct ProgramRoot {
    /// The data that is removed with the value; only this user can enter it.
    dir: TempDir,
    program: String,
    emulator: Option<String>,
}

impl ProgramRoot {
    /// Makes one with the program at `path`, which is called `name` there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(path: &Utf8Path, name: &str, emulator: Option<&Utf8Path>) -> Result<Self> {
        Self::create(name, emulator, |to| add(path, to))
    }

    /// Makes one with a program of these bytes.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn from_bytes(bytes: &[u8], name: &str, emulator: Option<&Utf8Path>) -> Result<Self> {
        Self::create(name, emulator, |to| {
            fs::write(to, bytes).map_err(|error| file_error("write", to, error))?;
            make_executable(to, 0o555)
        })
    }

    fn create(
        name: &str,
        emulator: Option<&Utf8Path>,
        program: impl FnOnce(&Utf8Path) -> Result<()>,
    ) -> Result<Self> {
        const EMULATOR: &str = ".emulator";
        let root = ProgramRoot {
            dir: TempDir::new("longshore-smoke")?,
            program: format!("/{name}"),
            emulator: emulator.map(|_| format!("/{EMULATOR}")),
        };
        let path = root.path();
        fs::create_dir(&path).map_err(|error| file_error("create directory", &path, error))?;
        make_executable(&path, 0o755)?;
        program(&path.join(name))?;
        if let Some(emulator) = emulator {
            add(emulator, &path.join(EMULATOR))?;
        }
        Ok(root)
    }

    /// Returns the directory.
    pub fn path(&self) -> Utf8PathBuf {
        self.dir.path.join("root")
    }

    /// Returns the command that runs the program in there; `flags` are the emulator's.
    pub fn command(&self, flags: &[String], args: &[String]) -> Vec<String> {
        let flags = flags.iter().filter(|_| self.emulator.is_some());
        let emulator = self.emulator.iter().chain(flags);
        emulator.chain([&self.program]).chain(args).cloned().collect()
    }

    /// Returns the program's path outside.
    pub fn program(&self) -> Utf8PathBuf {
        self.path().join(self.program.trim_start_matches('/'))
    }
}

/// Lets every user read and execute it, whatever the file mode creation mask is.
fn make_executable(path: &Utf8Path, mode: u32) -> Result<()> {
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, mode).map_err(|error| file_error("change the mode of", path, error))
}

/// Adds the program `from` as `to`: by a hard link, which takes no space, or by a copy if the
/// unprivileged user could not execute it.
fn add(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    // A hard link to a symbolic link would lead nowhere in there.
    let from = from.canonicalize_utf8().map_err(|error| file_error("read", from, error))?;
    let meta = from.metadata().map_err(|error| file_error("read", &from, error))?;
    if meta.permissions().mode() & 0o555 == 0o555 {
        return link(&from, to);
    }
    fs::copy(&from, to).map_err(|error| file_error("write", to, error))?;
    make_executable(to, 0o555)
}
