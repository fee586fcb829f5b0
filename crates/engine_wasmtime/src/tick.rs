//! What moves the epoch of the engine on, by which a guest that computes is interrupted.
#![allow(unsafe_code, reason = "the action of a signal")]

use std::time::Duration;

use crate::config;

/// How long a guest computes before others get their turn.
const TICK: Duration = Duration::from_millis(10);

/// From here on guests of this process are interrupted. Without a thread: the kernel counts the time that the process computes.
///
/// # Errors
/// The errno of the call that failed.
pub(crate) fn start() -> std::io::Result<()> {
    // SAFETY: the action reads a static that is never changed once it is set, and adds to a number in one step.
    unsafe { sys::tick::every(TICK, config::next_epoch) }
}
