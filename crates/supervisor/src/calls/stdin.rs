//! `session_stdin`

use std::sync::atomic::Ordering::Relaxed;

use api::SessionState;
use api::error::{Error, ErrorCode};
use api::session::{Done, SessionStdin};
use base64::Engine as _;

use crate::read::Found;
use crate::{Result, Supervisor};

impl Supervisor {
    /// Writes to a session's standard input, closes it, or both. It returns when the guest's pipe has taken all,
    /// so a caller cannot outrun the guest.
    ///
    /// # Errors
    /// When there is no such session, it does not run, or its standard input is closed.
    pub async fn session_stdin(&self, request: SessionStdin) -> Result<Done> {
        let id = &request.session_id;
        let bytes = match (request.data, request.base64) {
            (Some(_), Some(_)) => {
                return Err(Error::new(ErrorCode::InvalidParams, "give data or base64, not both"));
            }
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => {
                base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| {
                    Error::new(ErrorCode::InvalidParams, format!("base64 is not base64: {error}"))
                })?
            }
            (None, None) => Vec::new(),
        };
        let refused = |why: &str| Error::new(ErrorCode::InvalidState, format!("session {id} {why}"));
        let Found::Live(session) = self.shared.find(id).await? else {
            return Err(refused("has ended"));
        };
        let mut changes = session.changed.subscribe();
        let mut place = loop {
            while session.state() == SessionState::Pending {
                if changes.changed().await.is_err() {
                    break;
                }
            }
            if session.state().is_final() {
                return Err(refused("has ended"));
            }
            let place = session.stdin.lock().await;
            // Its worker may have died before it took the session; then it waits for another one.
            if place.is_some() || session.state() != SessionState::Pending {
                break place;
            }
        };
        let Some(sender) = place.as_mut() else {
            return Err(refused("has no open standard input: start it with stdin_open"));
        };
        session.stdin_used.store(true, Relaxed);
        let written = crate::stdin::write_all(sender, &bytes).await;
        if request.close || written.is_err() {
            *place = None;
        }
        written.map_err(|error| refused(&format!("reads its standard input no more: {error}")))?;
        Ok(Done { ok: true })
    }
}
