//! `session_stop` and `session_stop_all`

use std::sync::Arc;
use std::time::Duration;

use api::SessionState;
use api::session::{Done, SessionStop, SessionStopAll, SessionsStopped};
use store::history::read::Filter;

use super::SessionHandle;
use super::list::passes;
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

    /// Stops all sessions that run or wait and meet the conditions, and waits until they ended. Processes of services are
    /// left: they would be started again.
    ///
    /// # Errors
    /// None today.
    pub async fn session_stop_all(&self, request: SessionStopAll) -> Result<SessionsStopped> {
        let filter = Filter { module: request.module, label: request.label, ..Filter::default() };
        let grace = request.grace_ms.map_or(self.shared.config.grace, Duration::from_millis);
        let mut found: Vec<(SessionState, SessionHandle)> = {
            let core = lock(&self.shared.core);
            let wanted = core.sessions.values().filter_map(|session| {
                let info = lock(&session.info);
                let wanted = !info.state.is_final() && !session.resident && passes(&filter, &info);
                wanted.then(|| (info.state, SessionHandle::new(&self.shared, Arc::clone(session))))
            });
            wanted.collect()
        };
        // Those first that wait: they would get the places of the others.
        found.sort_by_key(|(state, _)| *state != SessionState::Pending);
        for (_, session) in &found {
            session.stop(grace);
        }
        for (_, session) in &found {
            session.ended().await;
        }
        Ok(SessionsStopped { stopped: found.len() as u64 })
    }
}
