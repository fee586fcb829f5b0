//! Leaving when asked to (SIGTERM), but not in the middle of something: the process says when.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, raise, sigaction, sigprocmask,
};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn ask(_: libc::c_int) {
    ASKED.store(true, Relaxed);
}

/// From here on SIGTERM only asks, and only while this process waits with [`waiting`]; at other times it stays pending.
///
/// # Errors
/// The errno of sigaction(2) or sigprocmask(2).
pub fn only_when_waiting() -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(ask), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler stores a flag and does nothing else.
    unsafe { sigaction(Signal::SIGTERM, &action) }?;
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::from(Signal::SIGTERM)), None)?;
    Ok(())
}

/// Whether this process was asked to leave.
#[must_use]
pub fn asked() -> bool {
    ASKED.load(Relaxed)
}

/// What is blocked while this process waits: nothing, so that a request that came before ends the wait as well.
#[must_use]
pub fn waiting() -> SigSet {
    SigSet::empty()
}

/// Leaves as though SIGTERM had its way.
pub fn now() -> ! {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of this process.
    let _ = unsafe { sigaction(Signal::SIGTERM, &default) };
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&SigSet::from(Signal::SIGTERM)), None);
    let _ = raise(Signal::SIGTERM);
    // Nothing of the above can fail; if it did, this would end it all the same.
    std::process::abort()
}
