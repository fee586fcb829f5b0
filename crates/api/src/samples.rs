//! What the server did over time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The steps in which samples are taken, in milliseconds: the finer and the coarser ones.
pub const STEPS_MS: [u64; 2] = [1_000, 15_000];

/// How many samples of each step are kept: 15 minutes and 6 hours.
pub const KEPT: [usize; 2] = [15 * 60, 6 * 60 * 4];

/// What `stats_history` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatsHistory {
    /// Only samples after this time, in milliseconds since the Unix epoch; the last `ts_ms` that was seen brings what is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// At most so many, the newest ones; 1 to 1440, all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The step: 1000 or 15000. By default the finer one, unless it does not reach back to `after_ms` any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_ms: Option<u64>,
}

/// The reply to `stats_history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatsSamples {
    /// The step between these samples, in milliseconds.
    pub step_ms: u64,
    /// The samples, oldest first.
    pub samples: Vec<StatsSample>,
}

/// What the server did within one step. Counts are those of the step, sizes and numbers of sessions those at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatsSample {
    /// The end of the step, in milliseconds since the Unix epoch.
    pub ts_ms: u64,
    /// Sessions that were accepted.
    pub started: u64,
    /// Sessions that ended, in whatever way.
    pub ended: u64,
    /// Sessions among these that failed; one that was stopped has not failed.
    pub failed: u64,
    /// Sessions that run.
    pub running: u64,
    /// Sessions that wait for a worker.
    pub queued: u64,
    /// Workers that stand ready.
    pub parked: u64,
    /// The median of the times that sessions took from their request until they were handed to a worker, in microseconds, to
    /// about 3 %; none where no session was. What a worker takes to load the module is in each session's `load_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_us_p50: Option<u64>,
    /// The time that 99 of 100 of them did not exceed, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_us_p99: Option<u64>,
    /// Resident memory of the server in KiB.
    pub server_rss_kb: u64,
    /// Memory of the server, the zygotes, the templates and the sessions together, in KiB. Where many sessions run, some of
    /// their sizes are a few seconds old.
    pub memory_kb: u64,
    /// Processor time of the server, the zygotes and the sessions in milliseconds; a thousand in a second are one processor.
    pub cpu_ms: u64,
    /// Log lines that were read.
    pub log_lines: u64,
    /// Bytes of these lines.
    pub log_bytes: u64,
    /// Log lines that were dropped, for whatever reason.
    pub log_dropped: u64,
}
