//! Reading and writing descriptors by their number, for a process that knows its own numbers.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{BorrowedFd, RawFd};

/// The descriptor with this number, or `None` when the number is negative.
#[must_use]
pub fn numbered(fd: RawFd) -> Option<BorrowedFd<'static>> {
    if fd < 0 {
        return None;
    }
    // SAFETY: the value is not -1, which is all that the type's own representation needs. Whether the number
    // is open is decided by the kernel at each use: a call on a closed one fails with EBADF.
    Some(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Writes slices in one call; returns how many bytes were taken.
///
/// # Errors
/// The errno of writev(2).
pub fn write_vectored(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(nix::sys::uio::writev(fd, slices)?)
}

/// Reads into slices in one call; returns how many bytes came.
///
/// # Errors
/// The errno of readv(2).
pub fn read_vectored(fd: BorrowedFd<'_>, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    Ok(nix::sys::uio::readv(fd, slices)?)
}

/// Whether a read would not wait: there are bytes, an end or an error.
#[must_use]
pub fn readable(fd: BorrowedFd<'_>) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    // Where the kernel cannot tell, the read will.
    !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(0))
}

/// How many bytes can be read without waiting; 0 when the kernel cannot tell.
#[must_use]
pub fn available(fd: BorrowedFd<'_>) -> u64 {
    use std::os::fd::AsRawFd;
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one integer, and the pointer is to one.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if result < 0 { 0 } else { u64::try_from(count).unwrap_or(0) }
}
