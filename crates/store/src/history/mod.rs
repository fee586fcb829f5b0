//! The history of sessions: records and log blocks in SQLite, written by one thread in group commits.
//!
//! Writing never waits for the disk: [`History::put`] and [`History::append`] queue and return, and the writer
//! takes everything that is queued into one transaction. [`History::pending_bytes`] tells how much waits, so
//! that the caller decides when to slow a session down. Reading ([`read`]) uses connections of its own and sees
//! what is committed. A full or broken disk degrades the history ([`History::ok`]) and nothing else.

mod commit;
mod queue;
pub mod read;
mod retention;
mod writer;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use api::SessionInfo;
use api::error::{Error, ErrorCode};
use rusqlite::Connection;

use crate::database::{Database, sql_error, with_suffix};
use crate::{Result, database};
use queue::{Op, Queue};

/// A session's record: what `session_get` shows, with its place in the order of all sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Grows with every session and is never used again; the caller assigns it.
    pub no: u64,
    /// The session as the API shows it.
    pub info: SessionInfo,
}

/// Consecutive log lines of a session in the caller's own encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The sequence number of the first line.
    pub first_seq: u64,
    /// How many lines the body holds.
    pub lines: u32,
    /// When the first line was written, in milliseconds since the Unix epoch.
    pub first_ts_ms: u64,
    /// When the last line was written, in milliseconds since the Unix epoch.
    pub last_ts_ms: u64,
    /// The encoded lines; opaque here.
    pub body: Vec<u8>,
}

impl Block {
    /// The sequence number that follows the last line.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.first_seq.saturating_add(u64::from(self.lines))
    }
}

/// How much the history keeps. Log bytes are bodies plus [`BLOCK_OVERHEAD`] each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Log bytes of one session; its oldest blocks go first.
    pub session_log_bytes: u64,
    /// Log bytes of all sessions; the oldest ended sessions' logs go first, their records stay.
    pub total_log_bytes: u64,
    /// Records of sessions; the oldest ended go first, with their logs.
    pub max_records: u64,
    /// Days after its end that a session is kept.
    pub max_age_days: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { session_log_bytes: 64 << 20, total_log_bytes: 1 << 30, max_records: 100_000, max_age_days: 30 }
    }
}

/// What a block counts for beside its body, in bytes: the row around it. Without it, a session of many tiny
/// blocks would use several times its cap.
pub const BLOCK_OVERHEAD: u64 = 64;

/// What was found when the history was opened.
#[derive(Debug)]
pub struct Opened {
    /// Sessions that were pending or running when the last server stopped writing, oldest first.
    pub unfinished: Vec<Record>,
    /// The highest number that was ever committed and still has a record; 0 when there is none.
    pub max_no: u64,
}

/// What the history did and holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryStats {
    /// Whether the last commit succeeded.
    pub ok: bool,
    /// Why it did not.
    pub error: Option<String>,
    /// Records held.
    pub records: u64,
    /// Log bytes held, as the caps count them.
    pub log_bytes: u64,
    /// Bytes that wait for the writer.
    pub pending_bytes: u64,
    /// Transactions committed since the start.
    pub commits: u64,
    /// Lines that retention removed since the start.
    pub lines_retired: u64,
    /// Records that retention removed since the start.
    pub records_retired: u64,
    /// Lines that were lost since the start, because the disk was full or broken.
    pub lines_lost: u64,
    /// Records (or newer versions of them) that were lost since the start, likewise.
    pub records_lost: u64,
}

/// What the writer and the callers share.
#[derive(Debug, Default)]
struct Shared {
    queue: Queue,
    degraded: AtomicBool,
    error: Mutex<Option<String>>,
    records: AtomicU64,
    log_bytes: AtomicU64,
    commits: AtomicU64,
    lines_retired: AtomicU64,
    records_retired: AtomicU64,
    lines_lost: AtomicU64,
    records_lost: AtomicU64,
}

/// The history of all sessions. Dropping it writes what is queued and stops the writer.
#[derive(Debug)]
pub struct History {
    shared: Arc<Shared>,
    database: Arc<Database>,
    readers: Mutex<Vec<Connection>>,
    writer: Option<JoinHandle<()>>,
}

impl History {
    /// Opens the history and starts its writer. Touches the disk; call it after the process has forked what it
    /// forks, because it starts a thread.
    ///
    /// # Errors
    /// `internal` or `resource_exhausted` when the database cannot be read or the thread cannot be started.
    pub fn open(database: &Arc<Database>, settings: Settings) -> Result<(Self, Opened)> {
        let failed = |e: rusqlite::Error| sql_error(&e);
        let connection = database.connect().map_err(failed)?;
        let shared = Arc::new(Shared::default());
        let reader = database.connect_reader().map_err(failed)?;
        let opened = read::opened(&reader).map_err(failed)?;
        let writer = writer::Writer::new(connection, Arc::clone(database), Arc::clone(&shared), settings)
            .map_err(failed)?;
        let thread =
            std::thread::Builder::new().name("history".to_owned()).spawn(move || writer.run()).map_err(
                |e| Error::new(ErrorCode::ResourceExhausted, format!("no thread for the history: {e}")),
            )?;
        let history = Self {
            shared,
            database: Arc::clone(database),
            readers: Mutex::new(vec![reader]),
            writer: Some(thread),
        };
        Ok((history, opened))
    }

    /// Queues a record, new or changed. Never waits. Of several versions in one commit the last is written.
    pub fn put(&self, record: Record) {
        self.shared.queue.push(Op::Put(Box::new(record)));
    }

    /// Queues a block of a session's log. Never waits. Blocks of a session come in order, without overlap.
    pub fn append(&self, no: u64, block: Block) {
        self.shared.queue.push(Op::Append(no, block));
    }

    /// Has `done` called on the writer's thread once everything queued before is committed: it survives the
    /// death of this process. When the disk takes nothing ([`Self::ok`] is false) it is called all the same.
    /// `done` must not block.
    pub fn flush(&self, done: Box<dyn FnOnce() + Send>) {
        self.shared.queue.push(Op::Flush(done));
    }

    /// Bytes that are queued and not committed yet. Beyond a few tens of MiB the caller should stop reading logs.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.shared.queue.pending_bytes()
    }

    /// Whether the last commit succeeded. While it is false, logs are dropped and counted, the newest 10,000
    /// records wait in memory, and the writer tries again every second.
    #[must_use]
    pub fn ok(&self) -> bool {
        !self.shared.degraded.load(Relaxed)
    }

    /// Numbers about the history. Touches no disk.
    #[must_use]
    pub fn stats(&self) -> HistoryStats {
        let shared = &self.shared;
        HistoryStats {
            ok: self.ok(),
            error: shared.error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            records: shared.records.load(Relaxed),
            log_bytes: shared.log_bytes.load(Relaxed),
            pending_bytes: self.pending_bytes() as u64,
            commits: shared.commits.load(Relaxed),
            lines_retired: shared.lines_retired.load(Relaxed),
            records_retired: shared.records_retired.load(Relaxed),
            lines_lost: shared.lines_lost.load(Relaxed),
            records_lost: shared.records_lost.load(Relaxed),
        }
    }

    /// Bytes that the database uses on disk, its log included. Touches the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        ["", "-wal", "-shm"]
            .iter()
            .filter_map(|suffix| fs::metadata(with_suffix(self.database.path(), suffix)).ok())
            .map(|file| file.len())
            .sum()
    }

    /// Where a damaged database was moved to when this one was opened.
    #[must_use]
    pub fn quarantined(&self) -> Option<PathBuf> {
        self.database.quarantined().map(PathBuf::from)
    }

    /// Runs a query on one of the reading connections.
    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => self.database.connect_reader().map_err(|e| sql_error(&e))?,
        };
        let answer = query(&connection);
        // A connection that failed may be the problem; it is not kept.
        match answer {
            Ok(answer) => {
                let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
                if readers.len() < READERS_KEPT {
                    readers.push(connection);
                }
                Ok(answer)
            }
            Err(failure) => Err(database::sql_error(&failure)),
        }
    }
}

/// Reading connections that stay open; more are made while more are in use at once.
const READERS_KEPT: usize = 4;

impl Drop for History {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            // The writer does not panic; if it did, there is nothing left to write.
            let _ = writer.join();
        }
    }
}
