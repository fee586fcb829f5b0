//! The way to the writer: a list under a lock that is held for a push or a swap, and a count of what waits.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Block, Record};

/// How long the writer lets a batch grow once its first entry is there. Nothing waits for a commit unless it
/// asked with a flush, and that ends the wait.
const LINGER: Duration = Duration::from_millis(5);

/// How long after the last entry the writer goes on looking by itself. To be woken costs the one who pushes a switch
/// of threads in the middle of a session's start; to look costs the writer some microseconds every [`LINGER`].
const AWAKE: Duration = Duration::from_secs(1);

/// Bytes that end the wait early.
const ENOUGH: usize = 4 << 20;

/// What the writer is asked to do.
pub(super) enum Op {
    /// Write this version of a record.
    Put(Box<Record>),
    /// Write this block of a session's log.
    Append(u64, Block),
    /// Call back after the commit.
    Flush(Box<dyn FnOnce() + Send>),
}

impl Op {
    /// What it counts for in memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Put(record) => weight(record),
            Self::Append(_, block) => block.body.len() + size_of::<Self>(),
            Self::Flush(_) => 0,
        }
    }
}

fn weight(record: &Record) -> usize {
    let info = &record.info;
    let args: usize = info.args.iter().map(|arg| arg.len() + 24).sum();
    let labels: usize = info.labels.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
    size_of::<Record>() + info.session_id.len() + info.module.len() + info.digest.len() + args + labels
}

#[derive(Default)]
struct Waiting {
    ops: Vec<Op>,
    bytes: usize,
    /// Somebody waits for the commit.
    urgent: bool,
    /// The writer sleeps until something comes.
    idle: bool,
    closed: bool,
}

/// What is queued for the writer.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    pending: AtomicUsize,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("pending_bytes", &self.pending_bytes()).finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn push(&self, op: Op) {
        let weight = op.weight();
        self.pending.fetch_add(weight, Relaxed);
        let mut waiting = self.lock();
        waiting.bytes += weight;
        let urgent = matches!(op, Op::Flush(_)) || waiting.bytes >= ENOUGH;
        waiting.ops.push(op);
        // A wake-up costs more than all the rest, so only the first entry and an urgent one do it.
        let wake = waiting.idle || (urgent && !waiting.urgent);
        waiting.urgent |= urgent;
        waiting.idle = false;
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Ends the writer once it has written what is queued.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Waits up to `patience` for entries, lets them gather, and moves all into `into` (which must be empty).
    /// False when the queue was closed and is empty.
    pub(super) fn take(&self, into: &mut Vec<Op>, patience: Duration) -> bool {
        let mut waiting = self.lock();
        // Who pushes now need not wake anybody.
        let doze = Instant::now() + AWAKE.min(patience);
        while waiting.ops.is_empty() && !waiting.closed && Instant::now() < doze {
            waiting = self.wait(waiting, LINGER, |waiting| !waiting.urgent && !waiting.closed);
        }
        if waiting.ops.is_empty() {
            waiting = self.wait(waiting, patience, |waiting| {
                waiting.idle = waiting.ops.is_empty() && !waiting.closed;
                waiting.idle
            });
            waiting.idle = false;
            if !waiting.ops.is_empty() {
                waiting = self.wait(waiting, LINGER, |waiting| !waiting.urgent && !waiting.closed);
            }
        }
        std::mem::swap(&mut waiting.ops, into);
        waiting.bytes = 0;
        waiting.urgent = false;
        !(waiting.closed && into.is_empty())
    }

    /// Takes bytes off the count: they are committed or given up.
    pub(super) fn settle(&self, bytes: usize) {
        self.pending.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.load(Relaxed)
    }

    fn wait<'a>(
        &self,
        mut waiting: MutexGuard<'a, Waiting>,
        patience: Duration,
        mut on: impl FnMut(&mut Waiting) -> bool,
    ) -> MutexGuard<'a, Waiting> {
        let until = Instant::now() + patience;
        while on(&mut waiting) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            waiting = self.wake.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
