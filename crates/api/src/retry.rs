//! When a session is ready, and what happens when it fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::service::Backoff;

/// When a session is ready: when it prints a line, or a function that it exports has returned. One of the two, or both for
/// the first that comes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// The line on standard output or standard error, for example `READY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The function, for example `weft_ready`, without parameters and results. It is called before `_start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// A session that is not ready so long after its start fails with its last lines, in milliseconds; 30000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl Ready {
    /// How long a session may take to be ready where nothing else is said, in milliseconds.
    pub const TIMEOUT_MS: u64 = 30_000;
    /// The line of a session that is ready where nothing else is said.
    pub const LINE: &'static str = "READY";
}

/// What happens when a session fails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// How often it is tried again.
    #[schemars(range(max = 100))]
    pub max: u32,
    /// The waits before: the first, doubled with every retry up to the largest.
    #[serde(default)]
    pub backoff: Backoff,
    /// After which failures.
    #[serde(default)]
    pub on: RetryOn,
}

/// After which failures a session is tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// Those that may not come again: a lost worker, a signal from outside, and exit code 75 (EX_TEMPFAIL of sysexits.h).
    #[default]
    Transient,
    /// Also any other: exit codes, traps, a returned `err`, a timeout. Not a module that cannot be loaded.
    Failure,
}

/// A run of a session that failed and was followed by another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// The module that ran, as the request named it.
    pub module: String,
    /// When a worker took it, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    /// When it had ended, likewise.
    pub ended_at: u64,
    /// How it ended.
    pub outcome: Outcome,
}
