//! The pool: a pure state machine. It is told what happened and at what time, and answers what is to be done;
//! it opens nothing, waits for nothing and reads no clock, so that tests can drive it through any history.
//!
//! A slot is `forking`, then `parked` (a worker waits in it), then `busy` (a session has the worker), then gone.
//! Sessions that find no parked worker queue up, first come first served, in a queue with an end. The number of
//! workers to keep parked grows when sessions had to wait and shrinks back while nothing happens.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

/// A place for one worker. Numbers are never used again.
pub type Slot = u64;

/// A session's number in the history.
pub type SessionNo = u64;

/// How large the pool may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Workers to keep parked, always.
    pub spare_min: usize,
    /// Workers to keep parked at the most.
    pub spare_max: usize,
    /// Sessions that may run at once.
    pub max_sessions: usize,
    /// Sessions that may wait.
    pub max_queue: usize,
}

/// How long nothing must happen before the pool keeps fewer workers parked.
const IDLE: Duration = Duration::from_secs(5);

/// How long a worker that would only be a spare one is put off at most. Forking competes with the session that has just
/// begun for the processor, and so for the time until its result is there; [`Event::Refill`] ends the wait before.
const LINGER: Duration = Duration::from_millis(2);

/// How long the pool waits after a failed fork, at first and at most. It doubles with every failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A zygote is ready to fork.
    ZygoteReady,
    /// The zygote is gone, and with it every worker.
    ZygoteLost,
    /// A session wants a worker.
    Submit(SessionNo),
    /// A session's worker died before it took the session, which waits again, before all others. It was accepted
    /// once, so a full queue does not refuse it now.
    Resubmit(SessionNo),
    /// A session no longer waits.
    Withdraw(SessionNo),
    /// A worker was forked and parks.
    Forked(Slot),
    /// No worker could be forked.
    ForkFailed(Slot),
    /// A worker is gone, whatever it did.
    Exited(Slot),
    /// Nothing more urgent is to be done: workers may be forked in advance.
    Refill,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ask the zygote for a worker.
    Fork(Slot),
    /// Hand the session to the worker that is parked here.
    Assign {
        /// The slot.
        slot: Slot,
        /// The session.
        session: SessionNo,
        /// Whether it found the worker parked, or had to wait for it.
        waited: bool,
    },
    /// The queue is full: refuse the session.
    Reject(SessionNo),
    /// The worker of this session is gone together with the zygote.
    Lost(SessionNo),
    /// A parked worker is one too many: let it go.
    Retire(Slot),
}

/// The pool.
#[derive(Debug)]
pub struct Pool {
    limits: Limits,
    ready: bool,
    next_slot: Slot,
    forking: BTreeSet<Slot>,
    parked: VecDeque<Slot>,
    busy: HashMap<Slot, SessionNo>,
    retiring: BTreeSet<Slot>,
    queue: VecDeque<SessionNo>,
    /// Sessions that run in other pools; they count against `max_sessions` too.
    elsewhere: usize,
    /// How many workers to keep parked now.
    target: usize,
    last_submit: Option<Instant>,
    backoff: Duration,
    retry_at: Option<Instant>,
    /// When spare workers that were put off are forked.
    refill_at: Option<Instant>,
}

impl Pool {
    /// A pool without a zygote.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { spare_max: limits.spare_max.max(limits.spare_min), ..limits };
        Self {
            limits,
            ready: false,
            next_slot: 0,
            forking: BTreeSet::new(),
            parked: VecDeque::new(),
            busy: HashMap::new(),
            retiring: BTreeSet::new(),
            queue: VecDeque::new(),
            elsewhere: 0,
            target: limits.spare_min,
            last_submit: None,
            backoff: BACKOFF.0,
            retry_at: None,
            refill_at: None,
        }
    }

    /// Workers that stand ready.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Workers that were asked for and are not there yet.
    #[must_use]
    pub fn forking(&self) -> usize {
        self.forking.len()
    }

    /// Sessions that have a worker.
    #[must_use]
    pub fn running(&self) -> usize {
        self.busy.len()
    }

    /// Sessions that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether there is a zygote to fork from.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Tells how many sessions run in other pools.
    pub fn set_elsewhere(&mut self, running: usize) {
        self.elsewhere = running;
    }

    /// Gives up all that wait, in their order, for another pool.
    pub fn take_queue(&mut self) -> Vec<SessionNo> {
        self.queue.drain(..).collect()
    }

    /// How many more sessions may run.
    fn room(&self) -> usize {
        self.limits.max_sessions.saturating_sub(self.busy.len() + self.elsewhere)
    }

    /// When a [`Event::Tick`] is due, if nothing else happens first.
    #[must_use]
    pub fn next_tick(&self) -> Option<Instant> {
        let shrink =
            (self.target > self.limits.spare_min).then(|| self.last_submit.map(|at| at + IDLE)).flatten();
        [shrink, self.retry_at, self.refill_at].into_iter().flatten().min()
    }

    /// Whether spare workers were put off.
    #[must_use]
    pub fn wants_refill(&self) -> bool {
        self.refill_at.is_some()
    }

    /// Tells the pool what happened at `now`; appends to `actions` what is to be done, in order.
    pub fn step(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::ZygoteReady => {
                self.ready = true;
                self.calm();
            }
            Event::ZygoteLost => {
                self.ready = false;
                self.forking.clear();
                self.parked.clear();
                self.retiring.clear();
                self.calm();
                let mut lost: Vec<SessionNo> = self.busy.drain().map(|(_, session)| session).collect();
                lost.sort_unstable();
                actions.extend(lost.into_iter().map(Action::Lost));
            }
            Event::Submit(session) => {
                self.last_submit = Some(now);
                let idle = self.queue.is_empty() && !self.parked.is_empty() && self.room() > 0;
                if !idle && self.queue.len() >= self.limits.max_queue {
                    actions.push(Action::Reject(session));
                    return;
                }
                if self.parked.is_empty() {
                    self.target = (self.target * 2).max(1).min(self.limits.spare_max);
                }
                self.queue.push_back(session);
                // Whoever finds a worker parked did not wait.
                self.assign(false, actions);
            }
            Event::Resubmit(session) => {
                self.queue.push_front(session);
                self.assign(true, actions);
            }
            Event::Withdraw(session) => self.queue.retain(|waiting| *waiting != session),
            Event::Forked(slot) => {
                if self.forking.remove(&slot) {
                    self.parked.push_back(slot);
                    if self.retry_at.is_none() {
                        self.backoff = BACKOFF.0;
                    }
                    self.assign(true, actions);
                }
            }
            Event::ForkFailed(slot) => {
                if self.forking.remove(&slot) {
                    self.back_off(now);
                }
            }
            Event::Exited(slot) => {
                let before = self.parked.len();
                self.parked.retain(|parked| *parked != slot);
                if self.forking.remove(&slot) || self.parked.len() < before {
                    // A worker that dies while it is parked may not be the last one: not a loop of forks.
                    self.back_off(now);
                }
                self.retiring.remove(&slot);
                self.busy.remove(&slot);
                self.assign(true, actions);
            }
            Event::Refill => {}
            Event::Tick => {
                if self.retry_at.is_some_and(|at| at <= now) {
                    self.retry_at = None;
                }
                if self.last_submit.is_some_and(|at| now >= at + IDLE) {
                    self.target = self.limits.spare_min;
                    self.last_submit = None;
                }
                // Sessions of other pools may have ended.
                self.assign(true, actions);
            }
        }
        let spare = !matches!(event, Event::Refill | Event::Tick | Event::ZygoteReady);
        self.refill(now, spare, actions);
    }

    fn back_off(&mut self, now: Instant) {
        self.retry_at = Some(now + self.backoff);
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
    }

    fn calm(&mut self) {
        self.backoff = BACKOFF.0;
        self.retry_at = None;
    }

    fn assign(&mut self, waited: bool, actions: &mut Vec<Action>) {
        while self.room() > 0 && !self.queue.is_empty() {
            let Some(slot) = self.parked.pop_front() else { return };
            if let Some(session) = self.queue.pop_front() {
                self.busy.insert(slot, session);
                actions.push(Action::Assign { slot, session, waited });
            }
        }
    }

    /// Forks what is missing, retires what is too much. What only would be spare can wait when `spare_waits`.
    fn refill(&mut self, now: Instant, spare_waits: bool, actions: &mut Vec<Action>) {
        if !self.ready || self.retry_at.is_some() {
            self.refill_at = None;
            return;
        }
        // For those who wait and may run, and for those who come next.
        let wanted = self.queue.len().min(self.room()).min(self.limits.spare_max.max(1)).max(self.target);
        let missing = self.parked.len() + self.forking.len() < wanted;
        if missing && spare_waits && self.queue.is_empty() && !self.parked.is_empty() {
            self.refill_at.get_or_insert(now + LINGER);
            return;
        }
        self.refill_at = None;
        while self.parked.len() + self.forking.len() < wanted {
            let slot = self.next_slot;
            self.next_slot += 1;
            self.forking.insert(slot);
            actions.push(Action::Fork(slot));
        }
        while self.queue.is_empty() && self.parked.len() > wanted {
            if let Some(slot) = self.parked.pop_back() {
                self.retiring.insert(slot);
                actions.push(Action::Retire(slot));
            }
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
