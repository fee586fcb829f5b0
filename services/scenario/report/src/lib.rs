//! What a load test measured. A [`Part`] is what one run saw; parts [merge](Part::merge), and the whole becomes a
//! [`Report`].

mod histogram;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use histogram::Histogram;

/// Nanoseconds in a millisecond.
const MILLI: f64 = 1e6;
/// Nanoseconds in a second.
const SECOND: f64 = 1e9;

/// What one run saw, in a shape that merges with others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The scenario's id.
    pub scenario: String,
    /// How many users there were.
    pub users: u64,
    /// Requests that were answered with a status below 400.
    pub successful: u64,
    /// Requests that were answered with another one, or not.
    pub failed: u64,
    /// Requests under way when the time was up, and not complete soon after; neither successful nor failed.
    pub unfinished: u64,
    /// Bytes of all answers.
    pub bytes_received: u64,
    /// From the first start to the last end.
    pub duration_ns: u64,
    /// How often each kind of failure.
    pub errors: BTreeMap<String, u64>,
    /// How long the answers took, in nanoseconds.
    pub latencies: Histogram,
}

impl Part {
    /// Adds a part of the same scenario that ran at the same time.
    pub fn merge(&mut self, other: &Self) {
        if self.scenario.is_empty() {
            self.scenario.clone_from(&other.scenario);
        }
        self.users += other.users;
        self.successful += other.successful;
        self.failed += other.failed;
        self.unfinished += other.unfinished;
        self.bytes_received += other.bytes_received;
        self.duration_ns = self.duration_ns.max(other.duration_ns);
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.latencies.merge(&other.latencies);
    }

    /// The result, for people and programs.
    #[must_use]
    pub fn report(&self) -> Report {
        let percentile = |share| round(self.latencies.percentile(share) as f64 / MILLI);
        let total = self.successful + self.failed;
        let seconds = self.duration_ns as f64 / SECOND;
        Report {
            scenario: self.scenario.clone(),
            total_users: self.users,
            total_requests: total,
            successful: self.successful,
            failed: self.failed,
            unfinished: self.unfinished,
            latency_p50_ms: percentile(50.0),
            latency_p95_ms: percentile(95.0),
            latency_p99_ms: percentile(99.0),
            latency_mean_ms: round(self.latencies.mean() / MILLI),
            latency_max_ms: round(self.latencies.max() as f64 / MILLI),
            duration_seconds: round(seconds),
            throughput_rps: if seconds > 0.0 { round(total as f64 / seconds) } else { 0.0 },
            bytes_received: self.bytes_received,
            errors: self.errors.clone(),
        }
    }
}

/// The result of a load test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The scenario's id.
    pub scenario: String,
    /// How many users there were.
    pub total_users: u64,
    /// Successful and failed ones.
    pub total_requests: u64,
    /// Requests that were answered with a status below 400.
    pub successful: u64,
    /// Requests that were answered with another one, or not.
    pub failed: u64,
    /// Requests under way when the time was up, and not complete soon after; not in `total_requests`.
    pub unfinished: u64,
    /// Half of the answers took no longer.
    pub latency_p50_ms: f64,
    /// 95 of 100 answers took no longer.
    pub latency_p95_ms: f64,
    /// 99 of 100 answers took no longer.
    pub latency_p99_ms: f64,
    /// The average.
    pub latency_mean_ms: f64,
    /// The slowest.
    pub latency_max_ms: f64,
    /// From the first start to the last end.
    pub duration_seconds: f64,
    /// `total_requests` by `duration_seconds`.
    pub throughput_rps: f64,
    /// Bytes of all answers.
    pub bytes_received: u64,
    /// How often each kind of failure; `failed` in sum.
    pub errors: BTreeMap<String, u64>,
}

/// To a thousandth: of a millisecond that is a microsecond, and the histogram knows no better.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(latencies: impl IntoIterator<Item = u64>, error: &str) -> Part {
        let mut part = Part { scenario: "s".into(), users: 1, duration_ns: 2_000_000_000, ..Part::default() };
        for latency in latencies {
            part.latencies.record(latency * 1_000_000);
            part.successful += 1;
        }
        part.failed = 1;
        part.errors.insert(error.into(), 1);
        part
    }

    #[test]
    fn parts_add_up() {
        let mut whole = part(1..=50, "timeout");
        whole.merge(&part(51..=100, "timeout"));
        let text = serde_json::to_string(&whole).unwrap();
        let report = serde_json::from_str::<Part>(&text).unwrap().report();
        assert_eq!((report.total_requests, report.successful, report.failed), (102, 100, 2));
        assert_eq!(report.errors, BTreeMap::from([("timeout".to_owned(), 2)]));
        assert_eq!((report.duration_seconds, report.throughput_rps), (2.0, 51.0));
        assert!((report.latency_p50_ms - 50.0).abs() < 0.5, "{report:?}");
        assert!((report.latency_p99_ms - 99.0).abs() < 1.0, "{report:?}");
        assert_eq!(report.latency_max_ms, 100.0);
    }

    #[test]
    fn nothing_is_a_result_too() {
        let report = Part::default().report();
        assert_eq!((report.total_requests, report.throughput_rps, report.latency_p99_ms), (0, 0.0, 0.0));
    }
}
