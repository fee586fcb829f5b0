//! The writer's thread: batches, what happens when the disk refuses one, and the way back.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::commit::{Books, Tally};
use super::queue::Op;
use super::{Block, Record, Settings, Shared};
use crate::database::{Database, PAGE, is_damage};

/// A transaction ends after this many entries or bytes, so that it never holds the disk for long.
const BATCH_OPS: usize = 4096;
const BATCH_BYTES: usize = 8 << 20;

/// Bytes in the database's log that start a checkpoint.
const CHECKPOINT: u32 = 16 << 20;

/// Records that wait in memory while the disk takes nothing.
const KEEP_RECORDS: usize = 10_000;

/// How long after a failure the writer tries again.
const RETRY: Duration = Duration::from_secs(1);

/// How often age is looked at when nothing is written.
const IDLE_TICK: Duration = Duration::from_secs(30);

/// The pause between two rounds of retention when one could not finish.
const BACKLOG_TICK: Duration = Duration::from_millis(10);

/// How many free pages are given back to the file system in one idle round.
const VACUUM_PAGES: u32 = 2048;

/// One transaction's worth of work, each record once.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) records: BTreeMap<u64, Box<Record>>,
    pub(super) blocks: Vec<(u64, Block)>,
    /// Lines that were lost before, by session: they go into its count of dropped lines.
    pub(super) lost: HashMap<u64, u64>,
    flushes: Vec<Box<dyn FnOnce() + Send>>,
    ops: usize,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, op: Op) {
        self.ops += 1;
        self.bytes += op.weight();
        match op {
            Op::Put(record) => {
                self.records.insert(record.no, record);
            }
            Op::Append(no, block) => self.blocks.push((no, block)),
            Op::Flush(done) => self.flushes.push(done),
        }
    }

    fn is_full(&self) -> bool {
        self.ops >= BATCH_OPS || self.bytes >= BATCH_BYTES
    }

    fn writes(&self) -> bool {
        !(self.records.is_empty() && self.blocks.is_empty() && self.lost.is_empty())
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    database: Arc<Database>,
    shared: Arc<Shared>,
    books: Books,
    /// What waits for the disk while it takes nothing.
    held: BTreeMap<u64, Box<Record>>,
    lost: HashMap<u64, u64>,
    retry_at: Option<Instant>,
    backlog: bool,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        database: Arc<Database>,
        shared: Arc<Shared>,
        settings: Settings,
    ) -> rusqlite::Result<Self> {
        // A checkpoint syncs twice; every 16 MiB instead of every 4 lets a flood go on. A log that grew beyond
        // that is cut back after its checkpoint.
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT / PAGE)?;
        connection.pragma_update(None, "journal_size_limit", 32 << 20)?;
        let books = Books::open(&connection, settings)?;
        let writer = Self {
            connection,
            database,
            shared,
            books,
            held: BTreeMap::new(),
            lost: HashMap::new(),
            retry_at: None,
            backlog: true,
        };
        writer.publish();
        Ok(writer)
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut ops = Vec::new();
        while self.shared.queue.take(&mut ops, self.patience()) {
            if ops.is_empty() {
                self.idle();
            }
            let mut batch = Batch::default();
            for op in ops.drain(..) {
                batch.add(op);
                if batch.is_full() {
                    self.write(std::mem::take(&mut batch));
                }
            }
            if batch.ops > 0 {
                self.write(batch);
            }
            // A flood leaves a list of its largest size behind; it is given back.
            ops.shrink_to(BATCH_OPS);
        }
        if self.retry_at.take().is_some() {
            self.write(Batch::default());
        }
    }

    fn patience(&self) -> Duration {
        match self.retry_at {
            Some(at) => at.saturating_duration_since(Instant::now()),
            None if self.backlog => BACKLOG_TICK,
            None => IDLE_TICK,
        }
    }

    /// Nothing came: try again what failed, go on with retention, or give free pages back.
    fn idle(&mut self) {
        if self.retry_at.is_some() || self.backlog {
            self.write(Batch::default());
            return;
        }
        // Both are for order's sake: a failure shows at the next commit.
        let free: i64 =
            self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap_or(0);
        if free > i64::from(VACUUM_PAGES) {
            let _ = self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"));
        }
        self.write(Batch::default());
    }

    fn write(&mut self, mut batch: Batch) {
        if self.retry_at.is_none_or(|at| Instant::now() >= at) {
            for (no, record) in std::mem::take(&mut self.held) {
                batch.records.entry(no).or_insert(record);
            }
            batch.lost = std::mem::take(&mut self.lost);
            match self.books.commit(&mut self.connection, &batch) {
                Ok(tally) => self.committed(&tally),
                Err(failure) => {
                    self.failed(&failure);
                    self.hold(&mut batch);
                }
            }
        } else if batch.writes() {
            self.hold(&mut batch);
        }
        self.shared.queue.settle(batch.bytes);
        for done in batch.flushes {
            done();
        }
    }

    fn committed(&mut self, tally: &Tally) {
        self.retry_at = None;
        self.backlog = tally.backlog;
        let shared = &self.shared;
        shared.commits.fetch_add(1, Relaxed);
        shared.lines_retired.fetch_add(tally.lines_retired, Relaxed);
        shared.records_retired.fetch_add(tally.records_retired, Relaxed);
        shared.records_lost.fetch_add(tally.records_refused, Relaxed);
        shared.lines_lost.fetch_add(tally.lines_refused, Relaxed);
        if shared.degraded.swap(false, Relaxed) {
            *shared.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.publish();
    }

    fn publish(&self) {
        self.shared.records.store(self.books.records(), Relaxed);
        self.shared.log_bytes.store(self.books.log_bytes(), Relaxed);
    }

    fn failed(&mut self, failure: &rusqlite::Error) {
        if is_damage(failure) {
            // The running server goes on without history; the next start moves the database aside. Without the
            // marker it would be looked at again then, which finds most damage too.
            let _ = fs::write(self.database.damage_marker(), failure.to_string());
        }
        if matches!(failure.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure)) {
            // Emptying the log can be all the room that is needed. Whether it worked shows at the next attempt.
            let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        self.retry_at = Some(Instant::now() + RETRY);
        *self.shared.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.to_string());
        self.shared.degraded.store(true, Relaxed);
    }

    /// Keeps the records for the next try, the newest first, and counts the lines: they are lost.
    fn hold(&mut self, batch: &mut Batch) {
        for (no, lines) in batch.lost.drain() {
            self.lose(no, lines);
        }
        for (no, block) in batch.blocks.drain(..) {
            self.shared.lines_lost.fetch_add(u64::from(block.lines), Relaxed);
            self.lose(no, u64::from(block.lines));
        }
        self.held.append(&mut batch.records);
        while self.held.len() > KEEP_RECORDS {
            self.held.pop_first();
            self.shared.records_lost.fetch_add(1, Relaxed);
        }
    }

    fn lose(&mut self, no: u64, lines: u64) {
        // Beyond so many sessions only the sum is known.
        if self.lost.len() < KEEP_RECORDS || self.lost.contains_key(&no) {
            *self.lost.entry(no).or_default() += lines;
        }
    }
}
