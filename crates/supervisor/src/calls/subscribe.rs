//! Following a session's log: the history first, then live, without a hole that is not announced.

use std::collections::VecDeque;
use std::sync::Arc;

use api::log::Gap;
use api::{Outcome, SessionState};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;

use crate::core::Shared;
use crate::logs::LogEvent;
use crate::read::Found;
use crate::{Result, Supervisor};

/// One follower's place.
struct Follower {
    shared: Arc<Shared>,
    found: Found,
    changes: Option<watch::Receiver<()>>,
    next: u64,
    state: Option<SessionState>,
    due: VecDeque<LogEvent>,
    done: bool,
}

impl Supervisor {
    /// Follows a session's log: after `after_seq` (from its beginning with `None`), then live. The last event is
    /// [`LogEvent::End`]. A follower that is slow reads from the history what memory no longer has, so it slows
    /// nobody down and misses nothing that the history still keeps.
    ///
    /// # Errors
    /// When there is no such session.
    pub async fn subscribe(
        &self,
        session_id: &str,
        after_seq: Option<u64>,
    ) -> Result<impl Stream<Item = LogEvent> + Send + 'static + use<>> {
        let found = self.shared.find(session_id).await?;
        let changes = match &found {
            Found::Live(session) => Some(session.changed.subscribe()),
            Found::Past(_) => None,
        };
        let follower = Follower {
            shared: Arc::clone(&self.shared),
            found,
            changes,
            next: after_seq.map_or(0, |seq| seq.saturating_add(1)),
            state: None,
            due: VecDeque::new(),
            done: false,
        };
        Ok(unfold(follower, |mut follower| async move {
            let event = follower.event().await?;
            Some((event, follower))
        }))
    }
}

impl Follower {
    async fn event(&mut self) -> Option<LogEvent> {
        loop {
            if let Some(event) = self.due.pop_front() {
                return Some(event);
            }
            if self.done {
                return None;
            }
            if let Some(changes) = &mut self.changes {
                // What changes from here on wakes the wait below.
                changes.mark_unchanged();
            }
            let info = self.found.info();
            if self.state != Some(info.state) && !info.state.is_final() {
                self.state = Some(info.state);
                self.due.push_back(LogEvent::State(info.state));
                continue;
            }
            let (end, ended) = self.found.next_seq();
            if self.next < end {
                self.read().await;
                continue;
            }
            if ended {
                self.done = true;
                self.due.push_back(LogEvent::State(info.state));
                self.due.push_back(LogEvent::End(info.outcome.unwrap_or(Outcome::Interrupted)));
                continue;
            }
            self.changes.as_mut()?.changed().await.ok()?;
        }
    }

    async fn read(&mut self) {
        match self.shared.read_log(&self.found, self.next).await {
            Ok(chunk) => {
                if chunk.missed > 0 {
                    self.next += chunk.missed;
                    self.due.push_back(LogEvent::Gap(Gap { missed: chunk.missed, next_seq: self.next }));
                }
                for batch in chunk.batches {
                    self.next = self.next.max(batch.next_seq());
                    self.due.push_back(LogEvent::Lines(batch));
                }
            }
            Err(error) => {
                // Ended without an end event: the client comes back and asks again.
                tracing::warn!(%error, "a log cannot be read");
                self.done = true;
            }
        }
    }
}
