//! Log lines of sessions on their way to the system's log: journald where it runs, else a file that rotates.
//!
//! Whoever sends never waits: a thread writes, a bounded queue stands before it, and what does not fit is counted and
//! reported in the server's own log.

mod file;
mod journal;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use supervisor::logs::{Batch, Line};

use file::RotatingFile;
use journal::Journal;

/// Where journald listens for its native protocol.
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Lines that may wait for the thread.
const QUEUE: usize = 16_384;
/// How long the file takes over after journald has kept a line waiting.
const PAUSE: Duration = Duration::from_secs(10);
/// How often lost lines are reported.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Where lines go, and how much may lie there.
#[derive(Debug, Clone)]
pub struct Target {
    /// The socket of journald; it is used if it exists.
    pub journal: PathBuf,
    /// The file that is used otherwise.
    pub file: PathBuf,
    /// The size at which the file is put aside.
    pub rotate_bytes: u64,
    /// How many files that were put aside are kept.
    pub keep: u32,
}

struct Entry {
    session_id: Arc<str>,
    line: Line,
}

/// The way to the system's log. Dropping it writes what was sent; a journald that is stuck delays
/// that by two seconds.
#[derive(Debug)]
pub struct Forwarder {
    sender: Option<SyncSender<Entry>>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Opens the way: to journald, else to `sessions.log` in the state folder. Nothing is created before the first line.
    pub fn open(state_dir: &Path) -> std::io::Result<Self> {
        Self::open_to(Target {
            journal: JOURNAL.into(),
            file: state_dir.join("sessions.log"),
            rotate_bytes: 64 << 20,
            keep: 3,
        })
    }

    /// Opens the way to another target.
    pub fn open_to(target: Target) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        let thread = std::thread::Builder::new()
            .name("forward".to_owned())
            .spawn(move || Writer::new(target, counter).run(&receiver))?;
        Ok(Self { sender: Some(sender), lost, thread: Some(thread) })
    }

    /// Sends a line on, or counts it as lost.
    pub fn send(&self, session_id: &str, line: &Line) {
        self.push(Arc::from(session_id), line);
    }

    /// Sends the lines of a batch on.
    pub fn send_batch(&self, session_id: &str, batch: &Batch) {
        let session_id: Arc<str> = Arc::from(session_id);
        for line in &batch.lines {
            self.push(Arc::clone(&session_id), line);
        }
    }

    fn push(&self, session_id: Arc<str>, line: &Line) {
        let entry = Entry { session_id, line: line.clone() };
        if self.sender.as_ref().is_none_or(|sender| sender.try_send(entry).is_err()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were lost and not reported yet.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    journal: Option<Journal>,
    paused_until: Option<Instant>,
    file: RotatingFile,
    lost: Arc<AtomicU64>,
}

impl Writer {
    fn new(target: Target, lost: Arc<AtomicU64>) -> Self {
        let file = RotatingFile::new(target.file, target.rotate_bytes, target.keep);
        Self { journal: Journal::open(&target.journal), paused_until: None, file, lost }
    }

    fn run(mut self, receiver: &Receiver<Entry>) {
        loop {
            match receiver.recv_timeout(REPORT_EVERY) {
                Ok(entry) => {
                    self.write(&entry);
                    // What is at hand is written before the file is flushed.
                    for entry in receiver.try_iter().take(QUEUE) {
                        self.write(&entry);
                    }
                    if let Err(error) = self.file.flush() {
                        tracing::debug!(%error, "the file of forwarded lines cannot be flushed");
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.report();
        }
        self.report();
    }

    fn write(&mut self, entry: &Entry) {
        // What journald does not take, because the line is too long or it is away or stuck, the file takes.
        if let Some(journal) = &mut self.journal
            && self.paused_until.is_none_or(|end| Instant::now() > end)
        {
            match journal.send(&entry.session_id, &entry.line) {
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(%error, "journald did not take a line");
                    let stuck = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    self.paused_until = stuck.then(|| Instant::now() + PAUSE);
                }
            }
        }
        if let Err(error) = self.file.write(&entry.session_id, &entry.line)
            && self.lost.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!(%error, "forwarded lines cannot be written");
        }
    }

    fn report(&self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "lines could not be forwarded to the system's log");
        }
    }
}

#[cfg(test)]
mod tests;
