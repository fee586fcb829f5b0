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

/// Leaves the process at once and lets another one take its memory apart.
///
/// The end of a process is told to its parent only after its memory is gone, which takes longer than all the rest. Here a
/// process that shares the memory and the descriptors outlives this one by that time. It runs nothing of this program, and is
/// killed by the end of this process. Who waits for the ends of this process's pipes sees them later than its end.
pub fn exit_quickly(status: i32) -> ! {
    use nix::sched::{CloneFlags, clone};
    use nix::sys::signal::Signal;
    let worker = nix::unistd::getpid();
    let keep = move || {
        let set = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
        // The worker may be gone already.
        if set.is_ok() && nix::unistd::getppid() == worker {
            nix::unistd::pause();
        }
        exit_now(0)
    };
    let mut stack = [0; 8192];
    // SAFETY: the process that begins here shares the memory. It runs on a stack of its own, which lives as long as this
    // process, and only makes system calls. When it cannot be had, this process takes its memory apart itself.
    let _ =
        unsafe { clone(Box::new(keep), &mut stack, CloneFlags::CLONE_VM | CloneFlags::CLONE_FILES, None) };
    exit_now(status)
}
