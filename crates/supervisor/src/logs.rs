//! Batches of log lines: what a session's reader makes, and what every subscriber gets.

use std::sync::{Arc, OnceLock};

use api::{LogKind, log::Gap};
use base64::Engine as _;
use bytes::Bytes;

/// One line as it was written: the bytes without the line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When its first byte was written, in milliseconds since the Unix epoch.
    pub ts_ms: u64,
    /// Which stream it was written to.
    pub kind: LogKind,
    /// No line feed follows.
    pub partial: bool,
    /// The bytes, without the line feed.
    pub bytes: Bytes,
}

impl Line {
    /// The line as the API shows it.
    #[must_use]
    pub fn to_api(&self, seq: u64) -> api::LogLine {
        let (line, base64) = match std::str::from_utf8(&self.bytes) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => {
                let exact = base64::engine::general_purpose::STANDARD.encode(&self.bytes);
                (String::from_utf8_lossy(&self.bytes).into_owned(), Some(exact))
            }
        };
        api::LogLine { seq, ts_ms: self.ts_ms, kind: self.kind, line, base64, partial: self.partial }
    }
}

/// Consecutive lines of one session, made in one wake-up of its reader and shared by all subscribers.
#[derive(Debug)]
pub struct Batch {
    /// The sequence number of the first line; the others follow without holes.
    pub first_seq: u64,
    /// The lines; never empty.
    pub lines: Vec<Line>,
    encoded: OnceLock<Bytes>,
}

impl Batch {
    /// A batch of these lines.
    #[must_use]
    pub fn new(first_seq: u64, lines: Vec<Line>) -> Self {
        Self { first_seq, lines, encoded: OnceLock::new() }
    }

    /// The sequence number that follows the last line.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.lines.len() as u64
    }

    /// The batch in the wire's format, encoded once for all subscribers by whoever needs it first.
    pub fn encoded(&self, encode: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.encoded.get_or_init(|| encode(self)).clone()
    }
}

/// What a subscriber of a session's log sees.
#[derive(Debug, Clone)]
pub enum LogEvent {
    /// Lines. Those of a batch before the subscriber's place are for it to skip (`first_seq` tells).
    Lines(Arc<Batch>),
    /// Lines are missing here: the history no longer has them.
    Gap(Gap),
    /// The session's state changed.
    State(api::SessionState),
    /// The session ended; nothing follows.
    End(api::Outcome),
}
