//! Leaving when asked to, without cutting off an answer.
//!
//! A guest knows nothing of it. From the request on it is shown no new connection, and when it has answered all that it has
//! received, and nothing has moved for a moment, its process leaves.

use std::time::Duration;

use super::Sockets;
use super::table::State;

/// How long nothing must be received or sent: an answer in several pieces has pauses.
pub(crate) const QUIET: Duration = Duration::from_millis(50);

impl Sockets {
    /// Leaves, if the guest owes no answer. To be called when nothing has happened for [`QUIET`].
    pub(crate) fn leave_if_quiet(&mut self) {
        let accepted =
            || self.table.iter().filter(|socket| matches!(socket.state, State::Kernel { port: Some(_), .. }));
        if accepted().count() == 0 || !self.busy && !accepted().any(|socket| socket.owes) {
            sys::leave::now();
        }
        self.busy = false;
    }
}
