//! When a process runs.

use std::io;
use std::time::Duration;

use nix::errno::Errno;

fn last() -> io::Error {
    io::Error::last_os_error()
}

/// Gets less of the processor than others, but some: a nice value of 5, a third of what a process has by default.
///
/// # Errors
/// The errno of setpriority(2).
pub fn run_after_others() -> io::Result<()> {
    // SAFETY: setpriority(2) takes three integers; 0 is this process.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 5) } < 0 {
        return Err(last());
    }
    Ok(())
}

/// Runs only when nothing else wants the processor.
///
/// # Errors
/// The errno of sched_setscheduler(2).
pub fn run_when_idle() -> io::Result<()> {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a live structure of the right type.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const param) } < 0 {
        return Err(last());
    }
    Ok(())
}

/// What [`yield_after`] counts to ends here: in the process that has used its time.
extern "C" fn time_used(_: libc::c_int) {
    // The interrupted code finds errno as it was.
    let errno = Errno::last_raw();
    // A process that cannot be put back runs on as before.
    let _ = run_when_idle();
    Errno::set_raw(errno);
}

/// Prepares [`yield_after`] for this process and all that it forks.
///
/// # Errors
/// The errno of sigaction(2).
pub fn prepare_to_yield() -> io::Result<()> {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    let action = SigAction::new(SigHandler::Handler(time_used), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler makes one system call and touches nothing but errno, which it restores.
    unsafe { sigaction(Signal::SIGPROF, &action) }?;
    Ok(())
}

/// Once this process has used so much processor time from now on, it runs only when nothing else wants the processor.
/// [`prepare_to_yield`] has to be called before, here or in a parent.
///
/// # Errors
/// The errno of setitimer(2).
pub fn yield_after(time: Duration) -> io::Result<()> {
    let value = libc::timeval {
        tv_sec: time.as_secs() as libc::time_t,
        tv_usec: libc::suseconds_t::from(time.subsec_micros()),
    };
    let once = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: value };
    // SAFETY: the pointer is to a live structure of the right type; the old value is not wanted.
    if unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const once, std::ptr::null_mut()) } < 0 {
        return Err(last());
    }
    Ok(())
}
