//! The end of a session, and how long it stays in memory afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use api::{Outcome, SessionState};

use crate::core::{Core, Shared};
use crate::pool::SessionNo;
use crate::session::{Session, lock, now_ms};

/// How many ended sessions stay in memory with their newest lines, and how many bytes of these and their requests. Twice as many may
/// gather before some are let go.
const KEEP_ENDED: usize = 512;
const KEEP_ENDED_BYTES: usize = 16 << 20;

impl Shared {
    /// The session is over.
    pub(crate) fn ended(self: &Arc<Self>, session: &Arc<Session>, outcome: Outcome) {
        let mut core = lock(&self.core);
        self.ended_in(&mut core, session, outcome);
    }

    pub(crate) fn ended_in(self: &Arc<Self>, core: &mut Core, session: &Arc<Session>, outcome: Outcome) {
        self.counters.ended.fetch_add(1, Relaxed);
        self.counters.failed.fetch_add(u64::from(outcome.state() == SessionState::Failed), Relaxed);
        *lock(&self.counters.outcomes).entry(outcome.name()).or_default() += 1;
        {
            let mut info = lock(&session.info);
            info.state = outcome.state();
            info.outcome = Some(outcome);
            info.ready = false;
            info.child_pid = None;
            info.ended_at = Some(now_ms());
            lock(&self.counters.tally).ended(&info, std::time::Instant::now());
            if let Some(ended) = &self.config.ended {
                ended(&info);
            }
        }
        lock(&session.pidfd).take();
        match session.stdin.try_lock() {
            Ok(mut stdin) => *stdin = None,
            Err(_) => {
                // Who writes will see that nobody reads; what it leaves behind is closed then.
                let stdin = Arc::clone(&session.stdin);
                tokio::spawn(async move { *stdin.lock().await = None });
            }
        }
        self.record(session);
        session.changed.send_replace(());
        let request = session.request.get().map_or(0, |text| text.len());
        let bytes = lock(&session.log).ring.bytes() + request;
        core.ended.push_back((session.no, bytes));
        core.ended_bytes += bytes;
        core.live -= 1;
        if core.ended.len() > KEEP_ENDED * 2 || core.ended_bytes > KEEP_ENDED_BYTES * 2 {
            self.forget_oldest(core);
        }
        if core.live == 0 {
            self.idle.notify_waiters();
        }
    }

    /// Lets go of the oldest ended sessions, once the history has them.
    fn forget_oldest(self: &Arc<Self>, core: &mut Core) {
        let mut nos: Vec<SessionNo> = Vec::new();
        while core.ended.len() > KEEP_ENDED || core.ended_bytes > KEEP_ENDED_BYTES {
            let Some((no, bytes)) = core.ended.pop_front() else { break };
            core.ended_bytes -= bytes;
            nos.push(no);
        }
        let shared = Arc::downgrade(self);
        self.history.flush(Box::new(move || {
            let Some(shared) = shared.upgrade() else { return };
            let mut core = lock(&shared.core);
            for no in nos {
                if let Some(session) = core.sessions.remove(&no) {
                    core.ids.remove(&session.id);
                }
            }
        }));
    }
}
