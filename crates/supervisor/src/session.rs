//! A session in memory: what it was asked for, where it stands, its newest lines.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use api::session::{EngineKind, Millis, SessionInfo};
use api::{LogKind, SessionState};
use bytes::Bytes;
use frames::SessionSpec;
use tokio::net::unix::pipe;
use tokio::sync::{Notify, watch};

use crate::cgroup::Cgroup;
use crate::logs::{Batch, Line};
use crate::outcome::Cause;
use crate::pool::SessionNo;
use crate::ready::Signs;
use crate::repeat::Repeat;
use crate::ring::Ring;

/// The most that is kept of what a session's process itself prints, in bytes.
const HOST_LIMIT: u64 = 1 << 20;

/// Locks, also after a panic elsewhere: every state that these locks guard is valid between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a worker is handed, until one is.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) spec: SessionSpec,
    pub(crate) engine: EngineKind,
    pub(crate) module: Arc<OwnedFd>,
    /// What else it is given: see [`SessionSpec`].
    pub(crate) given: Vec<Arc<OwnedFd>>,
    pub(crate) stdin: Bytes,
    pub(crate) stdin_open: bool,
    pub(crate) timeout: Option<Duration>,
    /// It runs for long: see [`crate::Wiring`].
    pub(crate) resident: bool,
    /// How many workers died before they took the session.
    pub(crate) attempts: u32,
    /// When it was handed to a worker.
    pub(crate) began: Instant,
}

/// The newest lines, and how many there were.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) ring: Ring,
    pub(crate) next_seq: u64,
    pub(crate) dropped: u64,
    bytes: u64,
    host_bytes: u64,
    limit: u64,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) no: SessionNo,
    pub(crate) id: String,
    pub(crate) info: Mutex<SessionInfo>,
    pub(crate) log: Mutex<Log>,
    pub(crate) waiting: Mutex<Option<Waiting>>,
    pub(crate) pidfd: Mutex<Option<OwnedFd>>,
    pub(crate) cgroup: Mutex<Option<Cgroup>>,
    /// The guest's standard input, while it is open.
    pub(crate) stdin: Arc<tokio::sync::Mutex<Option<pipe::Sender>>>,
    /// Somebody has written to it or closed it since the start, which cannot be done again for another worker.
    pub(crate) stdin_used: AtomicBool,
    /// Why it is being killed, and how long after SIGTERM.
    pub(crate) killing: Mutex<Option<(Cause, Duration)>>,
    pub(crate) kill: Notify,
    /// Changes with every line and every state.
    pub(crate) changed: watch::Sender<()>,
    pub(crate) forward: bool,
    /// What has to come before it is ready, if anything.
    pub(crate) ready: Option<Signs>,
    /// When it was handed to its worker.
    pub(crate) began: Mutex<Instant>,
    /// How long it took from there to be ready.
    pub(crate) ready_ms: Mutex<Option<Millis>>,
    /// What is run when it fails, if anything.
    pub(crate) repeat: Mutex<Option<Repeat>>,
    /// When it was asked for, until it is handed to a worker.
    pub(crate) asked: Mutex<Option<Instant>>,
    /// What was asked for, as JSON, where it is kept.
    pub(crate) request: OnceLock<Box<str>>,
    /// It is a process of a service.
    pub(crate) resident: bool,
    /// Whose pool has it.
    pub(crate) stem: AtomicU64,
}

impl Session {
    pub(crate) fn new(
        no: SessionNo,
        info: SessionInfo,
        waiting: Waiting,
        ring_lines: usize,
        output_limit: u64,
        forward: bool,
        (ready, repeat): (Option<Signs>, Option<Repeat>),
    ) -> Self {
        Self {
            no,
            id: info.session_id.clone(),
            info: Mutex::new(info),
            log: Mutex::new(Log {
                ring: Ring::new(ring_lines),
                next_seq: 0,
                dropped: 0,
                bytes: 0,
                host_bytes: 0,
                limit: output_limit,
            }),
            asked: Mutex::new(Some(waiting.began)),
            request: OnceLock::new(),
            resident: waiting.resident,
            waiting: Mutex::new(Some(waiting)),
            pidfd: Mutex::new(None),
            cgroup: Mutex::new(None),
            stdin: Arc::default(),
            stdin_used: AtomicBool::new(false),
            killing: Mutex::new(None),
            kill: Notify::new(),
            changed: watch::Sender::new(()),
            forward,
            ready,
            began: Mutex::new(Instant::now()),
            ready_ms: Mutex::new(None),
            repeat: Mutex::new(repeat),
            stem: AtomicU64::new(crate::core::ROOT),
        }
    }

    /// The session as the API shows it, now.
    pub(crate) fn info(&self) -> SessionInfo {
        let mut info = lock(&self.info).clone();
        let log = lock(&self.log);
        (info.log_next_seq, info.log_dropped) = (log.next_seq, log.dropped);
        if info.state == SessionState::Running {
            info.duration_ms = info.started_at.map(|at| millis(now_ms().saturating_sub(at) * 1000));
        }
        info
    }

    pub(crate) fn state(&self) -> SessionState {
        lock(&self.info).state
    }

    /// Takes new lines into the log; returns them as a batch with their numbers, or `None` when none is left
    /// under the output limit.
    pub(crate) fn push_lines(&self, mut lines: Vec<Line>) -> Option<Arc<Batch>> {
        let mut log = lock(&self.log);
        let log = &mut *log;
        let before = lines.len();
        lines.retain(|line| {
            // What the process itself says is kept whatever the guest has printed, up to a limit of its own: a
            // guest can make its engine talk.
            let (bytes, limit) = match line.kind {
                LogKind::Host => (&mut log.host_bytes, HOST_LIMIT),
                LogKind::Stdout | LogKind::Stderr => (&mut log.bytes, log.limit),
            };
            *bytes += line.bytes.len() as u64 + 1;
            *bytes <= limit
        });
        log.dropped += (before - lines.len()) as u64;
        if lines.is_empty() {
            return None;
        }
        let batch = Arc::new(Batch::new(log.next_seq, lines));
        log.next_seq = batch.next_seq();
        log.ring.push(Arc::clone(&batch));
        Some(batch)
    }

    /// Sends a signal to the session's process, if it has one that lives.
    pub(crate) fn signal(&self, signal: i32) {
        if let Some(pidfd) = &*lock(&self.pidfd) {
            // Gone already is as good as killed.
            let _ = sys::pidfd::send_signal(pidfd, signal);
        }
    }

    /// Asks the session's task to kill the process for this reason. The first reason stays, and the shortest
    /// grace.
    pub(crate) fn request_kill(&self, cause: Cause, grace: Duration) {
        let mut killing = lock(&self.killing);
        let (_, shortest) = killing.get_or_insert((cause, grace));
        *shortest = grace.min(*shortest);
        drop(killing);
        self.kill.notify_one();
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as u64)
}

/// A duration of the API from microseconds.
pub(crate) fn millis(micros: u64) -> Millis {
    Millis { micros }
}

/// Opens a file for a worker.
pub(crate) fn open(path: &std::path::Path) -> std::io::Result<OwnedFd> {
    Ok(OwnedFd::from(File::open(path)?))
}
