//! The core: the pool with its slots, the sessions, and what is done when the pool says so.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use api::session::StartKind;
use api::{Outcome, SessionState};
use store::history::{History, Record};
use store::modules::Modules;
use tokio::sync::{Notify, oneshot};

use crate::calls::ByPath;
use crate::cgroup::Cgroups;
use crate::compile::CompileQueue;
use crate::config::Config;
use crate::exec::broker;
use crate::lines::to_block;
use crate::logs::Line;
use crate::pool::{Action, Event, Pool, SessionNo, Slot as SlotNo};
use crate::run::{Pipes, run};
use crate::samples::{Histogram, Rings};
use crate::session::{Session, Waiting, lock, millis, now_ms};
use crate::slot::{Exit, Slot, hand_over};
use crate::stdin::feed;
pub(crate) use crate::stem::{ROOT, Stem, StemId, base, zygote};
use crate::tally::Tally;
use crate::templates::Templates;

/// How many bytes may wait for the disk before sessions' pipes are no longer read.
const HISTORY_BEHIND: usize = 32 << 20;

/// How often a session is handed to another worker because the one it was handed to had died before.
const MAX_ATTEMPTS: u32 = 10;

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sessions: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) lines: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) zygote_restarts: AtomicU64,
    pub(crate) ended: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// CPU time of the processes of sessions that are gone, in microseconds.
    pub(crate) cpu_us: AtomicU64,
    /// How long sessions took from their request until they were handed to a worker.
    pub(crate) starts: Histogram,
    pub(crate) outcomes: Mutex<BTreeMap<&'static str, u64>>,
    pub(crate) tally: Mutex<Tally>,
}

/// What all calls and tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) core: Mutex<Core>,
    pub(crate) history: History,
    pub(crate) modules: Modules,
    pub(crate) declared_store: store::templates::Templates,
    /// Wakes who weighs templates.
    pub(crate) weigh: Notify,
    pub(crate) by_path: ByPath,
    pub(crate) compile: CompileQueue,
    pub(crate) cgroups: Option<Cgroups>,
    pub(crate) counters: Counters,
    pub(crate) started: Instant,
    pub(crate) draining: AtomicBool,
    /// Somebody wants no new session. Unlike [`Self::draining`], it may be taken back.
    pub(crate) closed: AtomicBool,
    /// What it did over time.
    pub(crate) samples: Mutex<Rings>,
    /// Wakes who waits for all sessions to end.
    pub(crate) idle: Notify,
    /// Tells that the zygote has left for good.
    pub(crate) gone: Notify,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) stems: BTreeMap<StemId, Stem>,
    pub(crate) templates: Templates,
    pub(crate) engine: String,
    pub(crate) growth_refused: Arc<[String]>,
    pub(crate) sessions: BTreeMap<SessionNo, Arc<Session>>,
    pub(crate) ids: HashMap<String, SessionNo>,
    /// The ended sessions in memory, oldest first, each with the bytes of its lines.
    pub(crate) ended: VecDeque<(SessionNo, usize)>,
    pub(crate) ended_bytes: usize,
    /// Sessions that have not ended.
    pub(crate) live: usize,
    pub(crate) next_no: SessionNo,
    /// Modules' files that were opened before, by path.
    pub(crate) files: HashMap<PathBuf, Arc<OwnedFd>>,
}

impl Core {
    pub(crate) fn new(pool: Pool, next_no: SessionNo) -> Self {
        Self {
            stems: BTreeMap::from([(ROOT, Stem::new(pool))]),
            templates: Templates::default(),
            engine: String::new(),
            growth_refused: Arc::from([]),
            sessions: BTreeMap::new(),
            ids: HashMap::new(),
            ended: VecDeque::new(),
            ended_bytes: 0,
            live: 0,
            next_no,
            files: HashMap::new(),
        }
    }

    /// Sessions that run, that wait, and workers that stand ready, in all pools.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let sum = |count: fn(&Pool) -> usize| self.stems.values().map(|stem| count(&stem.pool)).sum();
        [sum(Pool::running), sum(Pool::queued), sum(Pool::parked)]
    }
}

impl Shared {
    /// Tells a pool what happened and does what it answers.
    pub(crate) fn step(self: &Arc<Self>, stem: StemId, event: Event) {
        let mut core = lock(&self.core);
        self.step_in(&mut core, stem, event);
    }

    pub(crate) fn step_in(self: &Arc<Self>, core: &mut Core, stem: StemId, event: Event) {
        let mut events = VecDeque::from([(stem, event)]);
        let mut actions = Vec::new();
        while let Some((id, event)) = events.pop_front() {
            let now = Instant::now();
            let [running, ..] = core.counts();
            // A template may be gone while something of it is still under way.
            let Some(stem) = core.stems.get_mut(&id) else { continue };
            let owed_before = stem.owed_since.is_some();
            stem.pool.set_elsewhere(running - stem.pool.running());
            stem.pool.step(now, event, &mut actions);
            let ticks = stem.pool.next_tick().is_some();
            for action in actions.drain(..) {
                self.perform(core, now, id, action, &mut events);
            }
            if matches!(event, Event::Exited(_) | Event::ZygoteLost) {
                // Whoever waits in another pool for room may have it now.
                let others =
                    core.stems.iter().filter(|(other, stem)| **other != id && stem.pool.queued() > 0);
                events.extend(others.map(|(other, _)| (*other, Event::Tick)));
            }
            if let Some(stem) = core.stems.get(&id)
                && (ticks
                    || (stem.owed_since.is_some() && !owed_before)
                    || stem.made.as_ref().is_some_and(|made| made.retired))
            {
                stem.ticks.notify_one();
            }
        }
    }

    fn perform(
        self: &Arc<Self>,
        core: &mut Core,
        now: Instant,
        id: StemId,
        action: Action,
        events: &mut VecDeque<(StemId, Event)>,
    ) {
        match action {
            Action::Fork(slot) => {
                let Some(stem) = core.stems.get_mut(&id) else { return };
                let forked = match &stem.zygote {
                    Some((zygote, _)) => Slot::fork(slot, zygote),
                    None => Err(ErrorKind::NotConnected.into()),
                };
                match forked {
                    Ok(entry) => {
                        stem.slots.insert(slot, entry);
                        stem.owed_since.get_or_insert(now);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot ask for a worker");
                        events.push_back((id, Event::ForkFailed(slot)));
                    }
                }
            }
            Action::Assign { slot, session, waited } => {
                self.assign(core, (id, slot), session, waited, events);
            }
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
                if let Some(slot) = core.stems.get_mut(&id).and_then(|stem| stem.slots.get_mut(&slot)) {
                    slot.ends = None;
                }
            }
        }
    }

    /// Hands a session to a worker and starts the session's task.
    fn assign(
        self: &Arc<Self>,
        core: &mut Core,
        (id, slot_no): (StemId, SlotNo),
        no: SessionNo,
        waited: bool,
        events: &mut VecDeque<(StemId, Event)>,
    ) {
        let slot = core.stems.get_mut(&id).and_then(|stem| stem.slots.get_mut(&slot_no));
        let (Some(session), Some(slot)) = (core.sessions.get(&no).cloned(), slot) else { return };
        let (Some(ends), Some(mut waiting)) = (slot.ends.take(), lock(&session.waiting).take()) else {
            return;
        };
        waiting.began = Instant::now();
        if waiting.resident {
            self.confine(&session, slot.pid, &waiting);
        }
        let handed = match waiting.spec.exec {
            false => hand_over(&ends.control, &waiting.spec, &waiting.module, &waiting.given),
            // A socket for each worker: one that died may have asked for something.
            true => broker(self, &session.id).and_then(|socket| {
                let given = [waiting.given.as_slice(), &[socket]].concat();
                hand_over(&ends.control, &waiting.spec, &waiting.module, &given)
            }),
        };
        if let Err(error) = handed {
            // The worker died while it was parked. It has not got the session, so another one may.
            tracing::debug!(session = session.id, %error, "a parked worker was gone");
            // A worker that is gone is not parked any more: this ends by itself. Anything else would come again.
            let gone = matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
            waiting.attempts += u32::from(!gone);
            if waiting.attempts < MAX_ATTEMPTS {
                *lock(&session.waiting) = Some(waiting);
                events.push_back((id, Event::Resubmit(no)));
            } else {
                self.ended_in(core, &session, Outcome::WorkerLost);
            }
            return;
        }
        if let Some(asked) = lock(&session.asked).take() {
            self.counters.starts.note(waiting.began.duration_since(asked).as_micros() as u64);
        }
        let (told, exit) = oneshot::channel();
        slot.session = Some((no, told));
        *lock(&session.pidfd) = slot.pidfd.take();
        // Before anybody sees it run and writes more.
        feed(&session, ends.stdin, waiting.stdin.clone(), waiting.stdin_open);
        {
            let mut info = lock(&session.info);
            info.state = SessionState::Running;
            info.ready = session.ready.is_none();
            *lock(&session.began) = waiting.began;
            *lock(&session.ready_ms) = info.ready.then(|| millis(0));
            info.child_pid = Some(slot.pid);
            info.started_at = Some(now_ms());
            info.start = Some(match (zygote(id), waited || info.template.is_some()) {
                (Some(_), true) => StartKind::Cold,
                (Some(_), false) => StartKind::Parked,
                (None, _) => StartKind::Warm,
            });
        }
        session.changed.send_replace(());
        self.record(&session);
        let pipes = Pipes { frames: ends.frames, host: ends.host, control: ends.control };
        tokio::spawn(run(Arc::clone(self), session, pipes, exit, waiting));
    }

    /// Hands a session to another worker, because the one that it was handed to died before it took it. False when
    /// that cannot be: it has been tried often enough, or somebody wants the session to end.
    pub(crate) fn again(self: &Arc<Self>, session: &Arc<Session>, mut waiting: Waiting) -> bool {
        let mut core = lock(&self.core);
        waiting.attempts += 1;
        if waiting.attempts >= MAX_ATTEMPTS
            || lock(&session.killing).is_some()
            || session.stdin_used.load(Relaxed)
        {
            return false;
        }
        {
            let mut info = lock(&session.info);
            info.state = SessionState::Pending;
            info.ready = false;
            (info.child_pid, info.started_at, info.start) = (None, None, None);
        }
        // A worker of the zygote itself can run it, whatever has become of a template.
        let stem = base(waiting.engine, waiting.spec.sockets());
        *lock(&session.waiting) = Some(waiting);
        session.changed.send_replace(());
        session.stem.store(stem, Relaxed);
        self.step_in(&mut core, stem, Event::Resubmit(session.no));
        true
    }

    /// A worker is dead and the zygote has not said so: its time to answer begins, if it has not before.
    pub(crate) fn exit_owed(&self, stem: StemId) {
        if let Some(stem) = lock(&self.core).stems.get_mut(&stem) {
            stem.owed_since.get_or_insert_with(Instant::now);
            stem.ticks.notify_one();
        }
    }

    /// A worker is gone: frees its slot and tells its session.
    pub(crate) fn worker_exited(self: &Arc<Self>, stem: StemId, slot_no: SlotNo, exit: Exit) {
        let mut core = lock(&self.core);
        if let Some(slot) = core.stems.get_mut(&stem).and_then(|stem| stem.slots.remove(&slot_no))
            && let Some((_, told)) = slot.session
        {
            // Its task may have given up waiting; then nobody is left to tell.
            let _ = told.send(exit);
        }
        self.step_in(&mut core, stem, Event::Exited(slot_no));
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

    /// Whether too much is on its way to the disk.
    pub(crate) fn history_behind(&self) -> bool {
        self.history.pending_bytes() > HISTORY_BEHIND
    }

    /// Waits while too much is on its way to the disk.
    pub(crate) async fn wait_for_history(&self) {
        while self.history_behind() {
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

    /// What was to come before a session is ready has come.
    pub(crate) fn ready(&self, session: &Arc<Session>) {
        let mut info = lock(&session.info);
        if info.ready || info.state != SessionState::Running {
            return;
        }
        info.ready = true;
        let took = lock(&session.began).elapsed();
        *lock(&session.ready_ms) = Some(millis(took.as_micros() as u64));
        drop(info);
        session.changed.send_replace(());
    }

    pub(crate) fn record(&self, session: &Arc<Session>) {
        self.history.put(Record { no: session.no, info: session.info() });
    }
}
