//! Forking, and leaving a forked child.

use std::io;
use std::os::fd::OwnedFd;

use nix::unistd::{ForkResult, Pid};

/// The two sides of a fork.
#[derive(Debug)]
pub enum Fork {
    /// This is the parent.
    Parent {
        /// The child's process id.
        pid: Pid,
        /// A descriptor that stands for exactly this child, whatever becomes of its number.
        pidfd: OwnedFd,
    },
    /// This is the child.
    Child,
}

/// How many threads this process has.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn threads() -> io::Result<usize> {
    use std::os::unix::fs::MetadataExt;
    // The folder has a sub-folder for each thread, and a folder's link count is 2 and one for each sub-folder:
    // one system call instead of a listing.
    Ok((std::fs::metadata("/proc/self/task")?.nlink() as usize).saturating_sub(2))
}

/// Forks, provided that the process has exactly one thread.
///
/// With a second thread, a lock that it holds would stay locked in the child for ever; so this asks the
/// kernel each time, also in release builds, instead of trusting a convention.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] when there is more than one thread; else the errno of fork(2) or
/// pidfd_open(2).
pub fn fork_single_threaded() -> io::Result<Fork> {
    let threads = threads()?;
    if threads != 1 {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("refusing to fork: this process has {threads} threads"),
        ));
    }
    #[allow(clippy::disallowed_methods, reason = "this is the one place that forks")]
    // SAFETY: there is one thread (checked above), so no lock is held by anybody else and the child may
    // go on like any other code.
    let forked = unsafe { nix::unistd::fork() }?;
    match forked {
        ForkResult::Child => Ok(Fork::Child),
        ForkResult::Parent { child } => {
            // The child is ours and not reaped yet, so its number cannot stand for another process.
            let pidfd = crate::pidfd::open(child.as_raw())?;
            Ok(Fork::Parent { pid: child, pidfd })
        }
    }
}

/// Leaves the process without running exit handlers, which belong to the parent.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) has no precondition and does not return.
    unsafe { libc::_exit(status) }
}
