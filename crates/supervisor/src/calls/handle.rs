//! A session in the hands of a part of this server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use api::session::SessionInfo;
use api::{Outcome, SessionState};

use crate::core::Shared;
use crate::outcome::Cause;
use crate::pool::Event;
use crate::session::{Session, lock};

/// A session in the hands of a part of this server. Dropping it does nothing to the session.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    shared: Arc<Shared>,
    session: Arc<Session>,
}

impl SessionHandle {
    pub(super) fn new(shared: &Arc<Shared>, session: Arc<Session>) -> Self {
        Self { shared: Arc::clone(shared), session }
    }

    /// Keeps what was asked for, for whoever wants the same again.
    pub(super) fn keep(&self, request: Box<str>) {
        // There is one request for a session.
        let _ = self.session.request.set(request);
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.session.id
    }

    /// The session as the API shows it, now.
    #[must_use]
    pub fn info(&self) -> SessionInfo {
        self.session.info()
    }

    /// Waits until it has ended; how.
    pub async fn ended(&self) -> Outcome {
        let mut changes = self.session.changed.subscribe();
        loop {
            if let Some(outcome) = lock(&self.session.info).outcome.clone() {
                return outcome;
            }
            if changes.changed().await.is_err() {
                return Outcome::WorkerLost;
            }
        }
    }

    /// Waits until it is ready, or has ended.
    pub async fn ready(&self) {
        let mut changes = self.session.changed.subscribe();
        while {
            let info = lock(&self.session.info);
            !info.ready && info.outcome.is_none()
        } {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Writes to its standard input as fast as it reads, and closes that afterwards if `close`.
    ///
    /// # Errors
    /// `BrokenPipe` when it reads no more, has ended, or has no open standard input.
    pub async fn write(&self, bytes: &[u8], close: bool) -> io::Result<()> {
        let mut changes = self.session.changed.subscribe();
        while self.session.state() == SessionState::Pending {
            if changes.changed().await.is_err() {
                break;
            }
        }
        let mut place = self.session.stdin.lock().await;
        let sender = place.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        self.session.stdin_used.store(true, Relaxed);
        let written = crate::stdin::write_all(sender, bytes).await;
        if close || written.is_err() {
            *place = None;
        }
        written
    }

    /// Asks it to end: SIGTERM, and SIGKILL after the grace; at once when that is zero.
    pub fn stop(&self, grace: Duration) {
        let mut core = lock(&self.shared.core);
        // Taking what a worker would be handed decides against any worker that comes free meanwhile.
        if self.session.state() == SessionState::Pending && lock(&self.session.waiting).take().is_some() {
            self.shared.step_in(&mut core, self.session.stem.load(Relaxed), Event::Withdraw(self.session.no));
            self.shared.ended_in(&mut core, &self.session, Outcome::Cancelled);
            return;
        }
        drop(core);
        self.session.request_kill(Cause::Stop, grace);
    }
}
