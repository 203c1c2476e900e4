//! The two system calls of confinement for which there is no safe function.
#![allow(unsafe_code, reason = "see the comment at each block, and docs/architecture.md")]

use std::os::fd::BorrowedFd;

use rustix::{
    io::{FdFlags, fcntl_setfd},
    thread::{UnshareFlags, unshare_unsafe},
};

/// Moves this process into new namespaces.
pub(super) fn unshare(namespaces: UnshareFlags) -> rustix::io::Result<()> {
    let namespaces = namespaces.difference(UnshareFlags::FILES);
    // SAFETY: the call is unsafe because of `CLONE_FILES`, by which a thread loses sight of file
    // descriptors of another thread. That flag is removed above.
    unsafe { unshare_unsafe(namespaces) }
}

/// Closes the file descriptor `number` in every program that this process starts.
pub(super) fn close_on_exec(number: i32) -> rustix::io::Result<()> {
    if number < 0 {
        return Ok(());
    }
    // SAFETY: the number is not -1, and it is borrowed for this call only. The call changes a flag
    // of the descriptor and neither reads nor closes it; if it is not open, it fails with EBADF.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(fd, FdFlags::CLOEXEC)
}
