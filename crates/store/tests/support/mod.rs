//! What the tests of the history share.
#![allow(clippy::unwrap_used, reason = "a test; functions beside the tests are not recognised as such")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use api::{Outcome, SessionInfo, SessionState};
use store::Database;
use store::history::{Block, History, Opened, Record, Settings};

/// A record with this number in this state.
pub(crate) fn record(no: u64, state: SessionState) -> Record {
    let now = now_ms();
    Record {
        no,
        info: SessionInfo {
            session_id: format!("ses-{no:08x}"),
            template: None,
            module: format!("module{}", no % 3),
            digest: format!("sha256:{:064x}", no % 3),
            state,
            ready: false,
            outcome: state.is_final().then_some(Outcome::Exited { code: 0 }),
            child_pid: None,
            args: vec!["one".into(), "two".into()],
            labels: BTreeMap::new(),
            created_at: now,
            started_at: Some(now),
            ended_at: state.is_final().then_some(now),
            duration_ms: None,
            cpu_ms: None,
            max_rss_kb: None,
            minor_faults: None,
            start: None,
            mode: None,
            engine: None,
            limits: api::session::Limits::default(),
            attempts: Vec::new(),
            load_ms: None,
            value: None,
            log_next_seq: 0,
            log_dropped: 0,
        },
    }
}

pub(crate) fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A block of `lines` lines and `size` bytes, stamped by its sequence numbers.
pub(crate) fn block(first_seq: u64, lines: u32, size: usize) -> Block {
    Block {
        first_seq,
        lines,
        first_ts_ms: 1000 + first_seq,
        last_ts_ms: 1000 + first_seq + u64::from(lines) - 1,
        body: (0..size).map(|place| (first_seq as usize + place) as u8).collect(),
    }
}

pub(crate) fn open(dir: &Path, settings: Settings) -> (History, Opened) {
    History::open(&Arc::new(Database::open(dir).unwrap()), settings).unwrap()
}

/// Waits until everything queued is committed, or given up.
pub(crate) fn flush(history: &History) {
    let (done, wait) = mpsc::channel();
    history.flush(Box::new(move || done.send(()).unwrap()));
    wait.recv_timeout(Duration::from_secs(30)).expect("the writer answers");
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}
