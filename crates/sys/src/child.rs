//! The steps that make a forked process a process of its own. Their order is `prefork`'s business.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal};

fn last() -> io::Error {
    io::Error::last_os_error()
}

/// Gives the descriptors these numbers and closes every other one, but those of `also`, which must not be among them.
///
/// # Errors
/// The errno of fcntl(2), dup2(2) or close_range(2).
pub fn keep_only(fds: Vec<OwnedFd>, at: &[RawFd], also: &[RawFd]) -> io::Result<()> {
    // First above all targets, so that no move overwrites a descriptor that is still to be moved.
    let floor = at.iter().max().map_or(0, |highest| highest + 1);
    let mut high = Vec::with_capacity(fds.len());
    for fd in fds {
        if fd.as_raw_fd() >= floor {
            high.push(fd.into_raw_fd());
            continue;
        }
        // SAFETY: F_DUPFD takes and gives integers; the source is open because we own it.
        let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD, floor) };
        if copy < 0 {
            return Err(last());
        }
        // Not closed by its own number, which may be a target that is already in use.
        let _ = fd.into_raw_fd();
        high.push(copy);
    }
    for (copy, target) in high.iter().zip(at) {
        // SAFETY: dup2(2) takes two integers; closing what the target was is the purpose.
        if unsafe { libc::dup2(*copy, *target) } < 0 {
            return Err(last());
        }
    }
    let mut kept: Vec<RawFd> = at.iter().chain(also).copied().collect();
    kept.sort_unstable();
    let mut from: u32 = 0;
    for target in kept {
        let target = target as u32;
        if target > from {
            close_range(from, target - 1)?;
        }
        from = target + 1;
    }
    close_range(from, u32::MAX)
}

/// The numbers of all open descriptors from `first` on.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn open_fds(first: RawFd) -> io::Result<Vec<RawFd>> {
    let numbers: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number >= first)
        .collect();
    // The folder that was read is among them and closed by now.
    // SAFETY: F_GETFD takes integers and only looks.
    Ok(numbers.into_iter().filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect())
}

/// Opens a file or folder again under its number, so that its place in the file is this process's own. What is neither
/// stays as it is.
///
/// # Errors
/// The errno of open(2), lseek(2) or dup3(2).
pub fn reopen(fd: RawFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
    use nix::sys::stat::{Mode, SFlag, fstat};
    use nix::unistd::{Whence, lseek};
    let Some(old) = crate::stdio::numbered(fd) else { return Ok(()) };
    let kind = SFlag::from_bits_truncate(fstat(old)?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFREG && kind != SFlag::S_IFDIR {
        return Ok(());
    }
    let flags = OFlag::from_bits_retain(fcntl(old, FcntlArg::F_GETFL)?) - OFlag::O_CREAT - OFlag::O_NOFOLLOW;
    let new = open(format!("/proc/self/fd/{fd}").as_str(), flags, Mode::empty())?;
    if kind == SFlag::S_IFREG && !flags.contains(OFlag::O_PATH) {
        lseek(&new, lseek(old, 0, Whence::SeekCur)?, Whence::SeekSet)?;
    }
    // SAFETY: dup2(2) takes two integers; the guest's descriptor keeps its number and leads to the new description.
    if unsafe { libc::dup2(new.as_raw_fd(), fd) } < 0 { Err(last()) } else { Ok(()) }
}

fn close_range(first: u32, last_fd: u32) -> io::Result<()> {
    // SAFETY: close_range(2) takes integers. No owner of a descriptor in the range is used again: the caller
    // is a child that has just been forked and keeps only what it listed, or a program at its very start.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last_fd, 0) } < 0 { Err(last()) } else { Ok(()) }
}

/// Blocks no signal.
///
/// # Errors
/// The errno of sigprocmask(2).
pub fn unblock_signals() -> io::Result<()> {
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

/// Gives every signal its default action and unblocks all.
///
/// # Errors
/// The errno of sigprocmask(2).
pub fn reset_signals() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        if matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            continue;
        }
        // SAFETY: the default action runs no code of ours.
        let _ = unsafe { nix::sys::signal::sigaction(signal, &default) };
    }
    unblock_signals()
}

/// Ignores SIGPIPE and SIGXFSZ, so that a broken pipe or a full quota is an errno for the guest instead of a death.
///
/// # Errors
/// The errno of sigaction(2).
pub fn ignore_write_signals() -> io::Result<()> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGPIPE, Signal::SIGXFSZ] {
        // SAFETY: ignoring runs no code of ours.
        unsafe { nix::sys::signal::sigaction(signal, &ignore) }?;
    }
    Ok(())
}

/// Begins a process group of its own.
///
/// # Errors
/// The errno of setpgid(2).
pub fn new_group() -> io::Result<()> {
    nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0))?;
    Ok(())
}

/// Asks the kernel to kill this process when its parent thread ends, and makes sure that it has not yet.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] when the parent is gone already; else the errno of prctl(2).
pub fn die_with_parent(expected_parent: i32) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } < 0 {
        return Err(last());
    }
    if nix::unistd::getppid().as_raw() != expected_parent {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the parent is gone"));
    }
    Ok(())
}

/// The limits that hold for a worker from its fork on. RLIMIT_AS is not among them: an engine reserves gigabytes
/// of address space for a memory. RLIMIT_DATA is set later ([`limit_data`]), when the session's own limit is known.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open descriptors.
    pub max_fds: u64,
    /// The largest file that may be written, in bytes.
    pub max_file: u64,
}

/// Sets the limits. A lower one that holds already stays: only root may raise it.
///
/// # Errors
/// The errno of getrlimit(2) or setrlimit(2).
pub fn limit(limits: Limits) -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    for (resource, wanted) in
        [(Resource::RLIMIT_NOFILE, limits.max_fds), (Resource::RLIMIT_FSIZE, limits.max_file)]
    {
        let value = getrlimit(resource)?.1.min(wanted);
        setrlimit(resource, value, value)?;
    }
    Ok(())
}

/// Limits what the process may allocate for itself, in bytes: heap and writable private mappings.
///
/// # Errors
/// The errno of setrlimit(2).
pub fn limit_data(bytes: u64) -> io::Result<()> {
    setrlimit(Resource::RLIMIT_DATA, bytes, bytes)?;
    Ok(())
}

/// Limits CPU time (seconds) and data (bytes), for the compile process.
///
/// # Errors
/// The errno of setrlimit(2).
pub fn limit_compile(cpu_seconds: u64, data_bytes: u64) -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds)?;
    setrlimit(Resource::RLIMIT_DATA, data_bytes, data_bytes)?;
    Ok(())
}

/// Gives up for good what set-user-id programs or file capabilities could grant.
///
/// # Errors
/// The errno of prctl(2).
pub fn no_new_privileges() -> io::Result<()> {
    // SAFETY: PR_SET_NO_NEW_PRIVS takes four integers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } < 0 { Err(last()) } else { Ok(()) }
}

/// Adopts orphaned descendants, so that they can be reaped here.
///
/// # Errors
/// The errno of prctl(2).
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes an integer.
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } < 0 { Err(last()) } else { Ok(()) }
}

/// Closes every descriptor that the parent left open by mistake: all but standard input, output and error. To be
/// called at the start of a program, before anything in it owns a descriptor.
///
/// # Errors
/// The errno of close_range(2).
pub fn close_strays() -> io::Result<()> {
    close_range(3, u32::MAX)
}

/// Takes over a descriptor that the parent passed by number.
///
/// # Errors
/// The errno of fcntl(2), `EBADF` when the number is not open.
pub fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: F_SETFD takes integers.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(last());
    }
    // SAFETY: the number is open (the call above succeeded), was put there for us by the process that executed
    // us, and this is called once, at the start, before anything else could own it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has a program that is yet to be started die with the thread that starts it, also when this process is killed.
pub fn bind_to_parent(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    let parent = std::process::id() as i32;
    // SAFETY: between fork and exec, this makes two system calls and nothing else.
    unsafe { command.pre_exec(move || die_with_parent(parent)) };
}
