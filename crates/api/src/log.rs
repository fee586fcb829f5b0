//! Log lines and how they are read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::session::{Outcome, SessionState};

/// What a line of a session's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogKind {
    /// The guest's standard output.
    Stdout,
    /// The guest's standard error.
    Stderr,
    /// The process itself: the engine, libc, a panic.
    Host,
}

impl LogKind {
    /// The name on the wire and the SSE event.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Host => "host",
        }
    }
}

/// One line. Sequence numbers begin at 0 and have no holes within a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// The line's place in the session's log.
    pub seq: u64,
    /// When the guest wrote its first byte, in milliseconds since the Unix epoch.
    pub ts_ms: u64,
    /// Which stream it was written to.
    pub kind: LogKind,
    /// The text without its line feed; invalid UTF-8 is replaced here and exact in `base64`.
    pub line: String,
    /// The exact bytes in base64, only where `line` could not hold them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// True where no line feed follows: the line goes on in the next one of its kind, or the guest ended it so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// What `session_logs` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionLogs {
    /// The session's id.
    pub session_id: String,
    /// Lines after this sequence number; from the beginning when neither this nor `after_ts_ms` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_seq: Option<u64>,
    /// Lines written after this time, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ts_ms: Option<u64>,
    /// At most this many, 1 to 10000; 1000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Wait up to this long for a line when there is none, in milliseconds, at most 60000; 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// The last this many lines instead of the first; not together with `after_seq` or `after_ts_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
}

/// A page of a session's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPage {
    /// The lines, in order.
    pub lines: Vec<LogLine>,
    /// The sequence number that follows this page; ask again with `after_seq: next_seq - 1`.
    pub next_seq: u64,
    /// The time of the last line of this page (or the time asked for).
    pub next_ts_ms: u64,
    /// Lines before this page that are no longer there, because the history was full.
    pub gap: u64,
    /// Whether the session is over and this page reaches its last line.
    pub end: bool,
}

/// The `data` of a `gap` event in an SSE stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// How many lines are missing here.
    pub missed: u64,
    /// The sequence number of the next line.
    pub next_seq: u64,
}

/// The `data` of a `state` event in an SSE stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateEvent {
    /// Where the session stands now.
    pub state: SessionState,
}

/// The `data` of the `end` event, the last one in an SSE stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndEvent {
    /// How the session ended.
    pub outcome: Outcome,
    /// The state that this is.
    pub state: SessionState,
}
