//! The core: the pool with its slots, the sessions, and what is done when the pool says so.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use api::session::StartKind;
use api::{Outcome, SessionState};
use store::history::{History, Record};
use store::modules::Modules;
use tokio::net::unix::pipe;
use tokio::sync::{Notify, oneshot};

use crate::calls::ByPath;
use crate::compile::CompileQueue;
use crate::config::Config;
use crate::lines::to_block;
use crate::logs::Line;
use crate::pool::{Action, Event, Pool, SessionNo, Slot as SlotNo};
use crate::run::{Pipes, run};
use crate::session::{Session, lock, now_ms};
use crate::slot::{Exit, Slot, hand_over};
use crate::zygote::ZygoteSender;

/// How many ended sessions stay in memory with their newest lines.
const KEEP_ENDED: usize = 512;

/// How many bytes may wait for the disk before sessions' pipes are no longer read.
const HISTORY_BEHIND: usize = 32 << 20;

/// How often a session is handed to another worker because the one it was handed to had died before.
const MAX_ATTEMPTS: u32 = 3;

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sessions: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) lines: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) zygote_restarts: AtomicU64,
    pub(crate) outcomes: Mutex<BTreeMap<&'static str, u64>>,
}

/// What all calls and tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) core: Mutex<Core>,
    pub(crate) history: History,
    pub(crate) modules: Modules,
    pub(crate) by_path: ByPath,
    pub(crate) compile: CompileQueue,
    pub(crate) counters: Counters,
    pub(crate) started: Instant,
    pub(crate) draining: AtomicBool,
    /// Wakes the driver: a timer of the pool changed.
    pub(crate) ticks: Notify,
    /// Wakes who waits for all sessions to end.
    pub(crate) idle: Notify,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) pool: Pool,
    pub(crate) slots: HashMap<SlotNo, Slot>,
    pub(crate) zygote: Option<(ZygoteSender, u32)>,
    pub(crate) engine: String,
    pub(crate) growth_refused: Arc<[String]>,
    /// Since when the zygote owes an answer.
    pub(crate) owed_since: Option<Instant>,
    pub(crate) sessions: BTreeMap<SessionNo, Arc<Session>>,
    pub(crate) ids: HashMap<String, SessionNo>,
    ended: VecDeque<SessionNo>,
    /// Sessions that have not ended.
    pub(crate) live: usize,
    pub(crate) next_no: SessionNo,
    /// Modules' files that were opened before, by path.
    pub(crate) files: HashMap<PathBuf, Arc<OwnedFd>>,
}

impl Core {
    pub(crate) fn new(pool: Pool, next_no: SessionNo) -> Self {
        Self {
            pool,
            slots: HashMap::new(),
            zygote: None,
            engine: String::new(),
            growth_refused: Arc::from([]),
            owed_since: None,
            sessions: BTreeMap::new(),
            ids: HashMap::new(),
            ended: VecDeque::new(),
            live: 0,
            next_no,
            files: HashMap::new(),
        }
    }
}

impl Shared {
    /// Tells the pool what happened and does what it answers.
    pub(crate) fn step(self: &Arc<Self>, event: Event) {
        let mut core = lock(&self.core);
        self.step_in(&mut core, event);
    }

    pub(crate) fn step_in(self: &Arc<Self>, core: &mut Core, event: Event) {
        let mut events = VecDeque::from([event]);
        let mut actions = Vec::new();
        while let Some(event) = events.pop_front() {
            let now = Instant::now();
            core.pool.step(now, event, &mut actions);
            for action in actions.drain(..) {
                self.perform(core, now, action, &mut events);
            }
        }
        if core.pool.next_tick().is_some() {
            self.ticks.notify_one();
        }
    }

    fn perform(self: &Arc<Self>, core: &mut Core, now: Instant, action: Action, events: &mut VecDeque<Event>) {
        match action {
            Action::Fork(slot) => {
                let forked = match &core.zygote {
                    Some((zygote, _)) => Slot::fork(slot, zygote),
                    None => Err(std::io::ErrorKind::NotConnected.into()),
                };
                match forked {
                    Ok(entry) => {
                        core.slots.insert(slot, entry);
                        core.owed_since.get_or_insert(now);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot ask for a worker");
                        events.push_back(Event::ForkFailed(slot));
                    }
                }
            }
            Action::Assign { slot, session, waited } => self.assign(core, slot, session, waited, events),
            Action::Reject(no) => {
                self.counters.rejected.fetch_add(1, Relaxed);
                // The caller of session_start is still here and sees that the session is not.
                if let Some(session) = core.sessions.remove(&no) {
                    core.ids.remove(&session.id);
                    core.live -= 1;
                }
            }
            // Its task sees that the kernel's word will not come, and ends it.
            Action::Lost(_) => {}
            Action::Retire(slot) => {
                // The worker reads the end of its control socket and leaves; the zygote tells when it has.
                if let Some(slot) = core.slots.get_mut(&slot) {
                    slot.ends = None;
                }
            }
        }
    }

    /// Hands a session to a worker and starts the session's task.
    fn assign(
        self: &Arc<Self>,
        core: &mut Core,
        slot_no: SlotNo,
        no: SessionNo,
        waited: bool,
        events: &mut VecDeque<Event>,
    ) {
        let (Some(session), Some(slot)) = (core.sessions.get(&no).cloned(), core.slots.get_mut(&slot_no)) else {
            return;
        };
        let (Some(ends), Some(mut waiting)) = (slot.ends.take(), lock(&session.waiting).take()) else { return };
        if let Err(error) = hand_over(&ends.control, &waiting.spec, &waiting.module) {
            // The worker died while it was parked. It has not got the session, so another one may.
            tracing::debug!(session = session.id, %error, "a parked worker was gone");
            waiting.attempts += 1;
            if waiting.attempts < MAX_ATTEMPTS {
                *lock(&session.waiting) = Some(waiting);
                events.push_back(Event::Submit(no));
            } else {
                self.ended_in(core, &session, Outcome::WorkerLost);
            }
            return;
        }
        let (told, exit) = oneshot::channel();
        slot.session = Some((no, told));
        *lock(&session.pidfd) = slot.pidfd.take();
        {
            let mut info = lock(&session.info);
            info.state = SessionState::Running;
            info.ready = true;
            info.child_pid = Some(slot.pid);
            info.started_at = Some(now_ms());
            info.start = Some(if waited { StartKind::Cold } else { StartKind::Parked });
        }
        session.changed.send_replace(());
        self.record(&session);
        feed(&session, ends.stdin, std::mem::take(&mut waiting.stdin), waiting.stdin_open);
        let pipes = Pipes { frames: ends.frames, host: ends.host };
        tokio::spawn(run(Arc::clone(self), session, pipes, exit, waiting.timeout));
    }

    /// A worker is gone: frees its slot and tells its session.
    pub(crate) fn worker_exited(self: &Arc<Self>, slot_no: SlotNo, exit: Exit) {
        let mut core = lock(&self.core);
        if let Some(slot) = core.slots.remove(&slot_no)
            && let Some((_, told)) = slot.session
        {
            // Its task may have given up waiting; then nobody is left to tell.
            let _ = told.send(exit);
        }
        self.step_in(&mut core, Event::Exited(slot_no));
    }

    /// Takes new lines of a session: into its ring, the history, and wherever they are forwarded.
    pub(crate) fn publish(&self, session: &Arc<Session>, lines: Vec<Line>) {
        if lines.is_empty() {
            return;
        }
        let came = lines.len() as u64;
        let batch = session.push_lines(lines);
        let kept = batch.as_ref().map_or(0, |batch| batch.lines.len() as u64);
        self.counters.lines.fetch_add(kept, Relaxed);
        self.counters.dropped.fetch_add(came - kept, Relaxed);
        let Some(batch) = batch else { return };
        let block = to_block(&batch);
        self.counters.bytes.fetch_add(block.body.len() as u64, Relaxed);
        self.history.append(session.no, block);
        if session.forward
            && let Some(forward) = &self.config.forward
        {
            forward(&session.id, &batch);
        }
        session.changed.send_replace(());
    }

    /// Waits while too much is on its way to the disk.
    pub(crate) async fn wait_for_history(&self) {
        while self.history.pending_bytes() > HISTORY_BEHIND {
            self.flush_history().await;
        }
    }

    /// Waits until everything that was given to the history is committed.
    pub(crate) async fn flush_history(&self) {
        let (done, committed) = oneshot::channel();
        self.history.flush(Box::new(move || {
            let _ = done.send(());
        }));
        let _ = committed.await;
    }

    pub(crate) fn growth_refused(&self) -> Arc<[String]> {
        Arc::clone(&lock(&self.core).growth_refused)
    }

    pub(crate) fn ready(&self, session: &Arc<Session>) {
        lock(&session.info).ready = true;
        session.changed.send_replace(());
    }

    pub(crate) fn record(&self, session: &Arc<Session>) {
        self.history.put(Record { no: session.no, info: session.info() });
    }

    /// The session is over.
    pub(crate) fn ended(self: &Arc<Self>, session: &Arc<Session>, outcome: Outcome) {
        let mut core = lock(&self.core);
        self.ended_in(&mut core, session, outcome);
    }

    pub(crate) fn ended_in(self: &Arc<Self>, core: &mut Core, session: &Arc<Session>, outcome: Outcome) {
        *lock(&self.counters.outcomes).entry(outcome.name()).or_default() += 1;
        {
            let mut info = lock(&session.info);
            info.state = outcome.state();
            info.outcome = Some(outcome);
            info.ready = false;
            info.child_pid = None;
            info.ended_at = Some(now_ms());
        }
        if let Ok(mut stdin) = session.stdin.try_lock() {
            *stdin = None;
        }
        self.record(session);
        session.changed.send_replace(());
        core.ended.push_back(session.no);
        core.live -= 1;
        if core.ended.len() > KEEP_ENDED * 2 {
            self.forget_oldest(core);
        }
        if core.live == 0 {
            self.idle.notify_waiters();
        }
    }

    /// Lets go of the oldest ended sessions, once the history has them.
    fn forget_oldest(self: &Arc<Self>, core: &mut Core) {
        let nos: Vec<SessionNo> = core.ended.drain(..KEEP_ENDED).collect();
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

/// Fills a session's standard input with what the request brought.
fn feed(session: &Arc<Session>, stdin: OwnedFd, bytes: Vec<u8>, keep_open: bool) {
    if bytes.is_empty() && !keep_open {
        return;
    }
    let Ok(sender) = pipe::Sender::from_file_unchecked(std::fs::File::from(stdin)) else { return };
    let mut rest = 0;
    while let Ok(written) = sender.try_write(&bytes[rest..]) {
        rest += written;
        if written == 0 || rest == bytes.len() {
            break;
        }
    }
    let Ok(mut place) = session.stdin.try_lock() else { return };
    *place = Some(sender);
    if rest == bytes.len() {
        if !keep_open {
            *place = None;
        }
        return;
    }
    drop(place);
    let session = Arc::clone(session);
    tokio::spawn(async move {
        let mut place = session.stdin.lock().await;
        if let Some(sender) = place.as_mut() {
            // A guest that has closed its end or is gone reads no more.
            let _ = crate::stdin::write_all(sender, &bytes[rest..]).await;
        }
        if !keep_open {
            *place = None;
        }
    });
}
