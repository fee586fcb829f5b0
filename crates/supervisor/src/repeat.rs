//! Running a session again that has failed: its retries, and the module that takes over after them.
//!
//! It stays one session, with its id and its log. Between two runs it is `pending` and in no pool's queue, so it can be
//! stopped at any time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use api::retry::RetryOn;
use api::session::{Attempt, Retries};
use api::{LogKind, Outcome, SessionState};
use bytes::Bytes;

use crate::calls::Launch;
use crate::core::Shared;
use crate::logs::Line;
use crate::outcome::Cause;
use crate::pool::Event;
use crate::session::{Session, lock, now_ms};

/// EX_TEMPFAIL of sysexits.h: who ends with it asks to be tried again.
const TEMPORARY: i32 = 75;

/// Signals of a process that broke by itself: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
const OWN_FAULT: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];

/// What is run when a session fails.
#[derive(Debug)]
pub(crate) struct Repeat {
    retries: Retries,
    /// How often the present module was tried again.
    tried: u32,
    /// The next wait.
    wait: Duration,
    current: Launch,
    fallback: Option<Launch>,
    /// It waits for its time.
    pausing: bool,
}

/// What comes after a failure.
#[derive(Debug)]
enum Next {
    Retry(Duration),
    Fallback,
}

impl Repeat {
    pub(crate) fn new(retries: Option<Retries>, current: Launch, fallback: Option<Launch>) -> Self {
        let retries = retries.unwrap_or_default();
        let wait = Duration::from_millis(retries.backoff.initial_ms);
        Self { retries, tried: 0, wait, current, fallback, pausing: false }
    }

    /// What comes after this end; `None` when it is the session's.
    fn next(&mut self, outcome: &Outcome) -> Option<Next> {
        if outcome.is_success() || matches!(outcome, Outcome::Cancelled | Outcome::Interrupted) {
            return None;
        }
        if self.tried < self.retries.max && is_retried(self.retries.on, outcome) {
            self.tried += 1;
            let wait = self.wait;
            self.wait = (self.wait * 2).min(Duration::from_millis(self.retries.backoff.max_ms)).max(wait);
            return Some(Next::Retry(wait));
        }
        self.current = self.fallback.take()?;
        (self.tried, self.wait) = (0, Duration::from_millis(self.retries.backoff.initial_ms));
        Some(Next::Fallback)
    }
}

fn is_retried(on: RetryOn, outcome: &Outcome) -> bool {
    let transient = match outcome {
        Outcome::WorkerLost | Outcome::Exited { code: TEMPORARY } => true,
        Outcome::Killed { signal } => !OWN_FAULT.contains(signal),
        _ => false,
    };
    transient || on == RetryOn::Failure && !matches!(outcome, Outcome::LoadFailed { .. })
}

/// A line of the server's own in a session's log.
pub(crate) fn note(text: String) -> Line {
    Line { ts_ms: now_ms(), kind: LogKind::Host, partial: false, bytes: Bytes::from(text) }
}

impl Shared {
    /// A run of a session is over: it is run again, or that was its end.
    pub(crate) fn ended_or_again(self: &Arc<Self>, session: &Arc<Session>, outcome: Outcome) {
        let stopped = matches!(*lock(&session.killing), Some((Cause::Stop, _)));
        let over = stopped || self.draining.load(Relaxed);
        let next = match lock(&session.repeat).as_mut() {
            Some(repeat) if !over => repeat.next(&outcome),
            _ => None,
        };
        match next {
            Some(next) => self.again_after(session, outcome, &next),
            None => self.ended(session, outcome),
        }
    }

    fn again_after(self: &Arc<Self>, session: &Arc<Session>, outcome: Outcome, next: &Next) {
        let wait = match next {
            Next::Retry(wait) => *wait,
            Next::Fallback => Duration::ZERO,
        };
        lock(&session.pidfd).take();
        let (waiting, said) = {
            let mut repeat = lock(&session.repeat);
            let Some(repeat) = repeat.as_mut() else { return };
            repeat.pausing = true;
            let current = &mut repeat.current;
            // Its process may be gone or be older than the failure; a worker runs it from the beginning.
            current.template = None;
            let mut info = lock(&session.info);
            let said = match next {
                Next::Retry(wait) => format!(
                    "attempt {} ended: {outcome}; again in {} ms",
                    info.attempts.len() + 1,
                    wait.as_millis()
                ),
                Next::Fallback => format!(
                    "attempt {} ended: {outcome}; {} takes over",
                    info.attempts.len() + 1,
                    current.named
                ),
            };
            let module = std::mem::replace(&mut info.module, current.named.clone());
            let started_at = info.started_at.take();
            info.attempts.push(Attempt { module, started_at, ended_at: now_ms(), outcome });
            (info.state, info.ready) = (SessionState::Pending, false);
            (info.child_pid, info.start, info.value) = (None, None, None);
            (info.duration_ms, info.load_ms) = (None, None);
            (info.cpu_ms, info.max_rss_kb, info.minor_faults) = (None, None, None);
            info.digest = current.module.digest.to_string();
            (info.engine, info.mode) = (Some(current.waiting.engine), Some(current.mode));
            (current.waiting.clone(), said)
        };
        *lock(&session.killing) = None;
        // From here on it can be stopped; before, whoever asked is told by the end of this wait.
        *lock(&session.waiting) = Some(waiting);
        self.publish(session, vec![note(said)]);
        session.changed.send_replace(());
        self.record(session);
        let (shared, session) = (Arc::downgrade(self), Arc::clone(session));
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            // Who wrote to the run before lets go of its pipe.
            *session.stdin.lock().await = None;
            if let Some(shared) = shared.upgrade() {
                shared.submit_again(&session);
            }
        });
    }

    /// The pause is over.
    fn submit_again(self: &Arc<Self>, session: &Arc<Session>) {
        let mut core = lock(&self.core);
        let launch = match lock(&session.repeat).as_mut() {
            Some(repeat) => {
                repeat.pausing = false;
                repeat.current.clone()
            }
            None => return,
        };
        // Somebody may have stopped it meanwhile.
        if lock(&session.waiting).is_none() {
            return;
        }
        if lock(&session.killing).is_some() {
            lock(&session.waiting).take();
            return self.ended_in(&mut core, session, Outcome::Cancelled);
        }
        let stem = self.stem(&mut core, &launch);
        session.stem.store(stem, Relaxed);
        // It was accepted once.
        self.step_in(&mut core, stem, Event::Resubmit(session.no));
    }

    /// The server is draining: sessions that wait for their next run end as the last one did.
    pub(crate) fn end_pauses(self: &Arc<Self>) {
        let mut core = lock(&self.core);
        let sessions: Vec<_> = core.sessions.values().cloned().collect();
        for session in sessions {
            let pausing = lock(&session.repeat).as_ref().is_some_and(|repeat| repeat.pausing);
            if pausing && lock(&session.waiting).take().is_some() {
                let last = lock(&session.info).attempts.pop();
                let outcome = last.map_or(Outcome::Cancelled, |attempt| {
                    let mut info = lock(&session.info);
                    info.started_at = attempt.started_at;
                    info.module = attempt.module;
                    attempt.outcome
                });
                self.ended_in(&mut core, &session, outcome);
            }
        }
    }
}

#[cfg(test)]
#[path = "repeat_tests.rs"]
mod tests;
