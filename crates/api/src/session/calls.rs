//! What the calls about sessions ask for and answer, but for their start.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Millis, SessionInfo, SessionResult, SessionState};

/// Names one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRef {
    /// The session's id.
    pub session_id: String,
}

/// The reply to `session_start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionStarted {
    /// The new session's id.
    pub session_id: String,
    /// How it ended, when the request said to wait and it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<SessionResult>,
}

/// What `session_stop` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionStop {
    /// The session's id.
    pub session_id: String,
    /// How long after SIGTERM the process is killed, in milliseconds; 5000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

/// What `session_stop_all` asks for. Without a condition it is about every session; a session has to meet all that are given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionStopAll {
    /// Only sessions of this module (name or digest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Only sessions with this label: `name` or `name=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How long after SIGTERM the processes are killed, in milliseconds; 5000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

/// The reply to `session_stop_all`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionsStopped {
    /// How many sessions were told to stop; all of them have ended.
    pub stopped: u64,
}

/// A reply that says only that it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// Always true.
    pub ok: bool,
}

/// What `session_list` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionList {
    /// Only sessions in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SessionState>,
    /// Only sessions of this module (name or digest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Only sessions with this label: `name` or `name=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Only sessions that have this text, 256 characters at most, in their id, module, template, the value of a label or an
    /// argument. Upper and lower case of a to z are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Ask the kernel what the running sessions of the page have used so far: `cpu_ms` and `max_rss_kb`, which are null
    /// otherwise until a session ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub usage: bool,
    /// At most this many, 1 to 1000; 100 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A page of sessions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<SessionInfo>,
    /// The cursor of the next page, or null when this is the last.
    pub next: Option<String>,
}

/// What `session_wait` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionWait {
    /// The session's id.
    pub session_id: String,
    /// How long to wait, in milliseconds, at most 600000; 60000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// What for; its end by default.
    #[serde(rename = "for", default)]
    pub what: WaitFor,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// The session has ended.
    #[default]
    End,
    /// The session is ready, or has ended.
    Ready,
}

/// What `session_wait` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "there is one for the length of a call")]
pub enum Waited {
    /// It has ended.
    Ended(SessionResult),
    /// It runs and is ready.
    Ready(SessionReady),
}

/// A session that is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionReady {
    /// Always true.
    pub ready: bool,
    /// From its start until it was ready, in milliseconds with fractions.
    #[schemars(with = "Option<f64>")]
    pub ready_ms: Option<Millis>,
}

/// What `session_stdin` asks for: data, the end of it, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionStdin {
    /// The session's id.
    pub session_id: String,
    /// Text to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Bytes to write, in base64, instead of `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Close standard input afterwards.
    #[serde(default)]
    pub close: bool,
}
