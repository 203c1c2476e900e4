//! The access of this process to a path, and the file system of the path.

use std::{
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt},
};

use camino::Utf8Path;

use crate::{
    model::error::{Error, Result},
    sys::fs::file_error,
};

/// Returns whether this process may create files in `dir`, which may be missing.
pub fn can_be_written(dir: &Utf8Path) -> bool {
    let Some(there) = dir.ancestors().find(|dir| dir.symlink_metadata().is_ok()) else {
        return false;
    };
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(there.as_std_path(), access).is_ok() && there.is_dir()
}

/// Makes the directory `path` that only this user can write to, unless it is there.
///
/// # Errors
/// It cannot be made, or what is there is a link, or belongs to another user.
pub fn private_dir(path: &Utf8Path) -> Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let meta = path.symlink_metadata().map_err(|error| file_error("read", path, error))?;
            let own = meta.uid() == rustix::process::geteuid().as_raw();
            if meta.is_dir() && own && meta.mode() & 0o022 == 0 {
                Ok(())
            } else {
                Err(Error::build(format!("`{path}` is not a directory of this user alone")))
            }
        }
        Err(error) => Err(file_error("create directory", path, error)),
    }
}

/// Returns whether the file system of `path` is mounted `noexec`.
#[cfg(target_os = "linux")]
pub fn is_noexec(path: &Utf8Path) -> bool {
    let noexec = rustix::fs::StatVfsMountFlags::NOEXEC;
    rustix::fs::statvfs(path.as_std_path()).is_ok_and(|found| found.f_flag.contains(noexec))
}

/// Returns `false`: this platform does not report whether a file system is mounted `noexec`.
#[cfg(not(target_os = "linux"))]
pub fn is_noexec(_: &Utf8Path) -> bool {
    false
}

/// Returns the number of bytes that this user may still write to the file system of `path`; `None` if it is
/// unknown.
pub fn free_space(path: &Utf8Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path.as_std_path()).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Returns whether `path` exists, also as a link without a target.
pub fn exists(path: &Utf8Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Returns whether there is nothing at `path`, not even a link without a target.
pub fn is_absent(path: &Utf8Path) -> bool {
    path.symlink_metadata().is_err_and(|error| is_not_found(&error))
}

/// Returns whether there is a link at `path` to a target that does not exist.
pub fn is_dangling(path: &Utf8Path) -> bool {
    !is_absent(path) && path.metadata().is_err_and(|error| is_not_found(&error))
}

fn is_not_found(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Returns the file system of `path`; `None` if it cannot be read.
pub fn device(path: &Utf8Path) -> Option<u64> {
    path.metadata().ok().map(|meta| meta.dev())
}
