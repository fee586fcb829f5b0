//! What the server says about itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reply to `health` and `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `ok`, or `degraded` when something is missing that sessions can do without; `reasons` says what.
    pub status: String,
    /// Always `hero_runner`.
    pub service: String,
    /// The server's version.
    pub version: String,
    /// Why the status is not `ok`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// The reply to `stats`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// The server's process.
    pub server_pid: u32,
    /// The zygote's process, while there is one.
    pub zygote_pid: Option<u32>,
    /// How often a lost zygote was replaced.
    pub zygote_restarts: u64,
    /// Since the server started, in milliseconds.
    pub uptime_ms: u64,
    /// Sessions that run.
    pub running: u64,
    /// Sessions that wait for a worker.
    pub queued: u64,
    /// Workers that stand ready.
    pub parked: u64,
    /// Whether new sessions are refused, because somebody said so (`server_drain`) or because the server stops.
    #[serde(default)]
    pub draining: bool,
    /// The most sessions that may run at once.
    pub max_sessions: u64,
    /// The most sessions that may wait.
    pub max_queue: u64,
    /// Sessions accepted since the server started.
    pub sessions_total: u64,
    /// Sessions refused because the queue was full.
    pub rejected_total: u64,
    /// Sessions ended since the server started, by the name of their outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Log lines read since the server started.
    pub log_lines_total: u64,
    /// Bytes of these lines.
    pub log_bytes_total: u64,
    /// Log lines that were dropped: by output limits, by retention, or because the disk was full.
    pub log_dropped_total: u64,
    /// Whether the history takes what is written; false while its disk is full or broken.
    pub history_ok: bool,
    /// Bytes that the history uses on disk.
    pub history_bytes: u64,
    /// Resident memory of the server in KiB.
    pub server_rss_kb: u64,
    /// Resident memory of the zygote in KiB.
    pub zygote_rss_kb: Option<u64>,
    /// The engine and its version, for example `wasmedge 0.17.1`.
    pub engine: String,
    /// What templates and sessions take of the memory.
    pub memory: MemoryStats,
    /// Services by the name of their state.
    #[serde(default)]
    pub services: BTreeMap<String, u64>,
    /// What the gateway does.
    #[serde(default)]
    pub gateway: GatewayStats,
    /// What the sessions of each module took, since the server started; by name.
    #[serde(default)]
    pub modules: Vec<ModuleStats>,
}

/// The upper bounds of [`ModuleStats::durations`], in milliseconds; the last count is for what took longer.
pub const DURATIONS_MS: [u64; 11] = [1, 2, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 60_000];

/// Which count of [`ModuleStats::durations`] so many microseconds belong to.
#[must_use]
pub fn duration_bucket(us: u64) -> usize {
    DURATIONS_MS.partition_point(|limit| limit * 1000 < us)
}

/// What the sessions of one module took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleStats {
    /// The module, as requests name it.
    pub module: String,
    /// Sessions that ended, by the name of their outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Sessions that ended within the last minute.
    pub ended_last_minute: u64,
    /// Sessions whose time to load is known.
    pub loads_total: u64,
    /// The time that these took to load and instantiate the module, in microseconds.
    pub load_us_total: u64,
    /// Sessions that ran.
    pub runs_total: u64,
    /// The time that these ran, in microseconds.
    pub run_us_total: u64,
    /// The longest of these times, in microseconds.
    pub run_us_max: u64,
    /// How many ran how long: up to 1, 2, 5, 10, 50, 100, 500 ms, 1, 5, 10 s, a minute, and longer. Empty before the first.
    pub durations: Vec<u64>,
    /// Their CPU time, user and system, in milliseconds.
    pub cpu_ms_total: u64,
    /// The largest resident size of one of their processes, in KiB.
    pub max_rss_kb: u64,
}

/// What the gateway does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayStats {
    /// Connections of clients that are open.
    pub connections: u64,
    /// Connections that were turned away because too many were open.
    pub connections_refused_total: u64,
    /// Answers since the server started, by the class of their status: `2xx`.
    pub responses_total: BTreeMap<String, u64>,
    /// How many requests took how long until the head of their answer went out; the bounds are those of
    /// [`ModuleStats::durations`].
    #[serde(default)]
    pub durations: Vec<u64>,
    /// All these times together, in microseconds.
    #[serde(default)]
    pub duration_us_total: u64,
    /// Connections that were made to services.
    pub upstream_connects_total: u64,
    /// Requests that went over a connection to a service that an earlier one had left.
    pub upstream_reused_total: u64,
}

/// What templates and sessions take of the memory. A proportional set size counts a page that N processes share as
/// 1/N of a page; the kernel's own memory for a process (page tables, stacks, descriptors) is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryStats {
    /// What templates and their parked workers may take together, in KiB; beyond it, those that were not used for
    /// the longest time go.
    pub templates_budget_kb: u64,
    /// What they take now, in KiB.
    pub templates_pss_kb: u64,
    /// How many templates were let go for want of room since the start.
    pub templates_evicted_total: u64,
    /// The templates that are warm.
    pub templates: Vec<ProcessMemory>,
    /// The sessions that run, the newest first, at most 32 of them.
    pub sessions: Vec<ProcessMemory>,
}

/// The memory of one template with its parked workers, or of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessMemory {
    /// The template's name, or the session's id.
    pub name: String,
    /// The process.
    pub pid: u32,
    /// The proportional set size in KiB.
    pub pss_kb: u64,
}
