//! `server_drain`

use std::sync::atomic::Ordering::Relaxed;

use api::admin::{Drained, ServerDrain};
use api::error::{Error, ErrorCode};

use crate::core::Shared;
use crate::session::lock;
use crate::{Result, Supervisor};

impl Supervisor {
    /// Refuses new sessions, or takes them again. What runs goes on, and so do services: their processes are started all the
    /// same, also again.
    ///
    /// # Errors
    /// When it is to take sessions again and the server is stopping.
    pub fn server_drain(&self, request: &ServerDrain) -> Result<Drained> {
        let shared = &self.shared;
        if !request.on && shared.draining.load(Relaxed) {
            return Err(Error::new(
                ErrorCode::InvalidState,
                "the server is stopping, which cannot be taken back",
            ));
        }
        // Under the lock: a session that was accepted before is counted here.
        let core = lock(&shared.core);
        if shared.closed.swap(request.on, Relaxed) != request.on {
            tracing::info!(on = request.on, "drain");
        }
        let lives = |session: &&std::sync::Arc<crate::session::Session>| {
            !session.resident && !lock(&session.info).state.is_final()
        };
        let running = core.sessions.values().filter(lives).count() as u64;
        Ok(Drained { draining: request.on, running })
    }
}

impl Shared {
    /// Refuses what is not to begin any more.
    pub(super) fn accepts(&self, resident: bool) -> Result<()> {
        if self.draining.load(Relaxed) {
            return Err(Error::new(ErrorCode::Draining, "the server is stopping and starts no session"));
        }
        if self.closed.load(Relaxed) && !resident {
            return Err(Error::new(ErrorCode::Draining, "the server is drained and starts no session"));
        }
        Ok(())
    }
}
