//! Lock files (flock(2)).
#![allow(clippy::disallowed_methods, reason = "like `sys::fs`, this module opens files")]

use std::{
    fs::{File, TryLockError},
    io::{ErrorKind, Read},
    os::unix::fs::{FileExt, MetadataExt},
};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::{Context, fs};
use crate::model::error::{Error, Result};

/// The content of the lock file of an output while its `.partial` directory exists. A directory of that
/// name belongs to longshore if this file says so: the directory itself may still be empty or
/// incomplete.
const MARK: &str = "longshore: the `.partial` directory beside this file is temporary\n";
/// The line that is added before the output is replaced: an `.old` directory belongs to longshore then.
const MARK_OLD: &str = "longshore: the `.old` directory beside this file is the previous output\n";

/// A lock on a file, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    created: bool,
    supported: bool,
}

/// Locks the file, and calls `waiting` once if another process holds it. The file is created where
/// it does not exist, and stays. Where the file system has no locks, nothing is locked; see
/// [`Lock::is_held`].
///
/// # Errors
/// The file cannot be opened or locked.
pub fn lock(path: &Utf8Path, waiting: impl FnOnce()) -> Result<Lock> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut waiting = Some(waiting);
    loop {
        let (file, created) = open(path)?;
        let mut supported = true;
        let locked = match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                if let Some(waiting) = waiting.take() {
                    waiting();
                }
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
        };
        match locked {
            Ok(()) => {}
            Err(error) if is_unsupported(&error) => supported = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(fs::file_error("lock", path, error)),
        }
        // The process that held the lock may have removed the file.
        if is_at(&file, path) {
            return Ok(Lock { file, created, supported });
        }
    }
}

fn is_unsupported(error: &std::io::Error) -> bool {
    let unsupported = [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOLCK];
    Errno::from_io_error(error).is_some_and(|errno| unsupported.contains(&errno))
}

/// Returns whether `path` is still a name of the open file.
fn is_at(file: &File, path: &Utf8Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Opens the lock file, for writing where that is allowed, and returns whether it was created.
fn open(path: &Utf8Path) -> Result<(File, bool)> {
    // A link could lead to a file of another process, and opening a pipe may never return.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let try_open = |more: OFlags| {
        let mode = Mode::from_raw_mode(0o644);
        rustix::fs::open(path.as_std_path(), flags | more, mode).map(File::from)
    };
    let cannot = |error: Errno| fs::file_error("open", path, error.into());
    for _ in 0..16 {
        // With O_CREAT, another user's file in a sticky directory could not be opened
        // (proc_sys_fs(5), "protected_regular").
        let opened = match try_open(OFlags::RDWR) {
            // To lock a file, reading it is enough on most file systems.
            Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => try_open(OFlags::RDONLY),
            opened => opened,
        };
        match opened {
            Ok(file) if file.metadata().is_ok_and(|meta| meta.is_file()) => {
                return Ok((file, false));
            }
            Ok(_) | Err(Errno::ISDIR | Errno::LOOP | Errno::NXIO | Errno::MLINK) => {
                return Err(blocked_error(path, "it is not a regular file"));
            }
            Err(Errno::NOENT) => {}
            Err(error) => return Err(cannot(error)),
        }
        match try_open(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => return Ok((file, true)),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(cannot(error)),
        }
    }
    Err(Error::build(format!("cannot open `{path}`: it is created and removed again and again")))
}

fn blocked_error(path: &Utf8Path, why: &str) -> Error {
    Error::usage(format!("`{path}` cannot be used as a lock file: {why}"))
        .hint("rename or remove it, or choose another output directory")
}

impl Lock {
    /// Returns whether the file is locked: `false` where the file system has no locks.
    pub fn is_held(&self) -> bool {
        self.supported
    }
}

/// The state of the lock file of an output before it was locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PreviousState {
    Missing,
    Empty,
    /// A run was killed while its `.partial` directory existed.
    Marked,
    /// A run was killed while it replaced the output.
    MarkedOld,
}

/// The lock of an output directory. Its file, `DIR.lock`, exists while the lock is held, and after a
/// run that was killed.
#[derive(Debug)]
pub struct OutputLock {
    lock: Lock,
    path: Utf8PathBuf,
    partial: Utf8PathBuf,
    before: PreviousState,
    /// The maximum length of its content that is written.
    written: usize,
}

/// Returns the path of a file or directory that belongs to the output and is beside it.
pub fn sibling(output: &Utf8Path, suffix: &str) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{output}.{suffix}"))
}

/// Locks the output at a path that [`fs::resolve`] returned. Waits while another process holds the lock.
///
/// # Errors
/// The lock file cannot be opened, or it is a file of something else.
pub fn lock_output(cx: &Context, output: &Utf8Path) -> Result<OutputLock> {
    let path = sibling(output, "lock");
    // A `Cargo.lock` is neither changed nor removed.
    if path.symlink_metadata().is_ok() {
        read_content(&path, &open(&path)?.0)?;
    }
    let lock = lock(&path, || {
        cx.status("Waiting", format!("for another command that writes `{output}`"));
    })?;
    let (mut before, written) = read_content(&path, &lock.file)?;
    if lock.created {
        before = PreviousState::Missing;
    }
    if !lock.is_held() {
        cx.warn(format!(
            "`{path}` cannot be locked on this file system: run one command at a time"
        ));
    }
    let partial = sibling(output, "partial");
    Ok(OutputLock { lock, path, partial, before, written })
}

/// Reads what an existing lock file is, and how much of its content was written.
fn read_content(path: &Utf8Path, file: &File) -> Result<(PreviousState, usize)> {
    let mut text = Vec::new();
    file.take(MAX_CONTENT)
        .read_to_end(&mut text)
        .map_err(|error| fs::file_error("read", path, error))?;
    let before = match &text[..] {
        [] => PreviousState::Empty,
        text if is_mark(text) && text.len() > MARK.len() => PreviousState::MarkedOld,
        text if is_mark(text) => PreviousState::Marked,
        _ => return Err(blocked_error(path, "it was not written by longshore")),
    };
    Ok((before, text.len()))
}

/// More than the content of a lock file.
const MAX_CONTENT: u64 = 1024;

/// Returns whether these bytes are the content of the lock file of a run that was killed.
pub fn is_mark(text: &[u8]) -> bool {
    !text.is_empty() && format!("{MARK}{MARK_OLD}").as_bytes().starts_with(text)
}

/// Returns whether the lock file of the output records that a run is replacing it, or was killed
/// meanwhile: the previous output may be `DIR.old`.
pub fn is_old_marked(output: &Utf8Path) -> bool {
    let path = sibling(output, "lock");
    matches!(fs::file_type(&path, false), Ok(fs::FileType::File { .. }))
        && fs::read_start(&path, MAX_CONTENT)
            .is_ok_and(|text| is_mark(&text) && text.len() > MARK.len())
}

impl OutputLock {
    /// Returns whether the `.partial` directory, if there is one, was made by a run that was killed.
    pub fn was_interrupted(&self) -> bool {
        matches!(self.before, PreviousState::Marked | PreviousState::MarkedOld)
    }

    /// Returns whether the `.old` directory, if there is one, was made by a run that was killed.
    pub fn was_replacing(&self) -> bool {
        self.before == PreviousState::MarkedOld
    }

    /// Renames the lock file, which is then no longer in use. The lock stays held until it is dropped.
    ///
    /// # Errors
    /// It existed before, or cannot be renamed.
    pub fn move_to(&self, path: &Utf8Path) -> Result<()> {
        match self.before {
            PreviousState::Missing | PreviousState::Marked | PreviousState::MarkedOld => {
                fs::rename(&self.path, path)
            }
            PreviousState::Empty => Err(Error::build(format!("`{}` is in use", self.path))),
        }
    }

    /// Records that the `.partial` directory belongs to longshore from now on. If the lock file belongs
    /// to another user, nothing is recorded.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn mark(&mut self) -> Result<()> {
        self.write(MARK.as_bytes())
    }

    /// Records that the `.old` directory belongs to longshore from now on.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn mark_old(&mut self) -> Result<()> {
        self.write(format!("{MARK}{MARK_OLD}").as_bytes())
    }

    /// Writes the rest of its content.
    fn write(&mut self, text: &[u8]) -> Result<()> {
        let Some(rest) = text.get(self.written..) else { return Ok(()) };
        match self.lock.file.write_all_at(rest, self.written as u64) {
            Ok(()) => self.written = text.len(),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BADF) => {}
            Err(error) => return Err(fs::file_error("write", &self.path, error)),
        }
        Ok(())
    }
}

impl Drop for OutputLock {
    fn drop(&mut self) {
        // A directory that could not be moved away stays recognisable.
        if self.written > 0 && self.partial.symlink_metadata().is_ok() {
            return;
        }
        if !is_at(&self.lock.file, &self.path) {
            return;
        }
        // Before the lock is released, so that no other process has it yet. A failure here leaves a
        // file that the next run uses.
        let _ = match self.before {
            PreviousState::Missing | PreviousState::Marked | PreviousState::MarkedOld => {
                std::fs::remove_file(&self.path)
            }
            PreviousState::Empty => self.lock.file.set_len(0),
        };
    }
}
