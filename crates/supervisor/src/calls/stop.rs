//! `session_stop`

use std::sync::Arc;
use std::time::Duration;

use api::session::{Done, SessionStop};

use super::SessionHandle;
use crate::read::Found;
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
        let grace = request.grace_ms.map_or(self.shared.config.grace, Duration::from_millis);
        let mut changes = session.changed.subscribe();
        SessionHandle::new(&self.shared, Arc::clone(&session)).stop(grace);
        while !session.state().is_final() {
            if changes.changed().await.is_err() {
                break;
            }
        }
        Ok(Done { ok: true })
    }
}
