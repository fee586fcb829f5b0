//! Schedules: what is called on a service, and when.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One schedule in a `service.json`. `endpoint` and one of `interval_secs` and `cron` are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Its name within the service; the endpoint without its leading slash by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The path that is called on the service, with its query.
    pub endpoint: String,
    /// From one call to the next, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub interval_secs: Option<u64>,
    /// When, as five fields of cron: minute, hour, day of the month, month, day of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The time zone of `cron`, as in `Europe/Brussels`; UTC by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The HTTP method; GET by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers of the call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Body of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The longest that a call may take, in milliseconds; 30000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What becomes of a call that is due while the one before runs.
    #[serde(default)]
    pub overlap: Overlap,
}

/// What becomes of a call that is due while the one before runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out, and counted.
    #[default]
    Skip,
    /// One waits for the other to end; more than one never wait.
    Queue,
}

/// One call that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleRun {
    /// When it began, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The first bytes of the answer's body, at most 1024, invalid UTF-8 replaced.
    pub body_head: String,
    /// Why there was no answer.
    pub error: Option<String>,
    /// Whether it was asked for by `schedule_run_now`.
    #[serde(default)]
    pub manual: bool,
}

/// One schedule, as `schedule_list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleInfo {
    /// `<service>/<name>`.
    pub id: String,
    /// Its service.
    pub service: String,
    /// What is called.
    pub endpoint: String,
    /// The HTTP method.
    pub method: String,
    /// When, in words: `every 60 s`, or `0 * * * * (Europe/Brussels)`.
    pub when: String,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether a call is under way.
    pub running: bool,
    /// When it is called next, in milliseconds since the Unix epoch; null while it is paused.
    pub next_at: Option<u64>,
    /// The last call.
    pub last_run: Option<ScheduleRun>,
    /// Calls that were made since the server started.
    pub runs: u64,
    /// Calls that were left out since the server started, because the one before was still running.
    pub skipped: u64,
}

/// What `schedule_list` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleQuery {
    /// Only those of this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// With so many of each one's last calls, 0 by default, at most 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<u32>,
}

/// What `schedule_list` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleList {
    /// The schedules by id.
    pub schedules: Vec<ScheduleInfo>,
    /// The last calls by id, oldest first, as many as were asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub history: BTreeMap<String, Vec<ScheduleRun>>,
}

/// Names one schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleRef {
    /// `<service>/<name>`.
    pub id: String,
}
