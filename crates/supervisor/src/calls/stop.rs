//! `session_stop`

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use api::session::{Done, SessionStop};
use api::{Outcome, SessionState};

use crate::outcome::Cause;
use crate::pool::Event;
use crate::read::Found;
use crate::session::lock;
use crate::{Result, Supervisor};

impl Supervisor {
    /// Stops a session and waits until it ended. One that has ended already is no error.
    ///
    /// # Errors
    /// When there is no such session.
    pub async fn session_stop(&self, request: SessionStop) -> Result<Done> {
        let Found::Live(session) = self.shared.find(&request.session_id).await? else {
            return Ok(Done { ok: true });
        };
        {
            let mut core = lock(&self.shared.core);
            // Taking what a worker would be handed decides against any worker that comes free meanwhile.
            if session.state() == SessionState::Pending && lock(&session.waiting).take().is_some() {
                self.shared.step_in(&mut core, session.stem.load(Relaxed), Event::Withdraw(session.no));
                self.shared.ended_in(&mut core, &session, Outcome::Cancelled);
                return Ok(Done { ok: true });
            }
        }
        let grace = request.grace_ms.map_or(self.shared.config.grace, Duration::from_millis);
        let mut changes = session.changed.subscribe();
        session.request_kill(Cause::Stop, grace);
        while !session.state().is_final() {
            if changes.changed().await.is_err() {
                break;
            }
        }
        Ok(Done { ok: true })
    }
}
