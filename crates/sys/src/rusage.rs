//! Reaping children with the account of what they used.

use std::io;

/// A child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Its process id, which may be given to another process from now on.
    pub pid: i32,
    /// Its exit status, when it exited.
    pub exited: Option<i32>,
    /// The signal that ended it, when one did.
    pub signaled: Option<i32>,
    /// User and system CPU time in microseconds.
    pub cpu_us: u64,
    /// Largest resident size in KiB.
    pub max_rss_kb: u64,
    /// Page faults that needed no I/O.
    pub minor_faults: u64,
}

/// Takes one child that has ended, or `None` when none has (or there is none).
///
/// # Errors
/// The errno of wait4(2) other than `ECHILD`.
pub fn reap_any() -> io::Result<Option<Reaped>> {
    wait4(-1, libc::WNOHANG)
}

/// Waits for this child, or returns `None` when it is no child of this process.
///
/// # Errors
/// The errno of wait4(2) other than `ECHILD`.
pub fn wait(pid: i32) -> io::Result<Option<Reaped>> {
    wait4(pid, 0)
}

fn wait4(wanted: i32, options: i32) -> io::Result<Option<Reaped>> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live variables of the right type; the kernel fills them.
    let pid = unsafe { libc::wait4(wanted, &raw mut status, options, usage.as_mut_ptr()) };
    match pid {
        0 => return Ok(None),
        -1 => {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(libc::ECHILD) { Ok(None) } else { Err(error) };
        }
        _ => {}
    }
    // SAFETY: the structure was zeroed, which is a valid value of it, and then filled by the kernel.
    let usage = unsafe { usage.assume_init() };
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Ok(Some(Reaped {
        pid,
        exited: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signaled: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        cpu_us: micros(usage.ru_utime) + micros(usage.ru_stime),
        max_rss_kb: usage.ru_maxrss as u64,
        minor_faults: usage.ru_minflt as u64,
    }))
}
