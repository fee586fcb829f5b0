//! Something that is done again and again while this process computes, without a thread.

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static ACTION: OnceLock<fn()> = OnceLock::new();

extern "C" fn tick(_: libc::c_int) {
    // The interrupted code finds errno as it was.
    let errno = Errno::last_raw();
    if let Some(action) = ACTION.get() {
        action();
    }
    Errno::set_raw(errno);
}

/// From here on `action` is called each time that this process has computed for so long, outside of the kernel. A process
/// that waits is not disturbed. The first action that was given stays; forked processes begin without.
///
/// # Safety
/// The action interrupts whatever runs: it may only do what is safe in a signal handler (signal-safety(7)).
///
/// # Errors
/// The errno of sigaction(2) or setitimer(2).
pub unsafe fn every(computed: Duration, action: fn()) -> io::Result<()> {
    ACTION.get_or_init(|| action);
    let handler =
        SigAction::new(SigHandler::Handler(tick), SaFlags::SA_RESTART | SaFlags::SA_ONSTACK, SigSet::empty());
    // SAFETY: the handler restores errno and calls what the caller vouches for.
    unsafe { sigaction(Signal::SIGVTALRM, &handler) }?;
    let part = libc::timeval {
        tv_sec: computed.as_secs() as libc::time_t,
        tv_usec: libc::suseconds_t::from(computed.subsec_micros()),
    };
    let timer = libc::itimerval { it_interval: part, it_value: part };
    // SAFETY: the pointer is to a live structure of the right type; the old value is not wanted.
    if unsafe { libc::setitimer(libc::ITIMER_VIRTUAL, &raw const timer, std::ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
