//! Numbers for who owns the gateway.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::stats::{DURATIONS_MS, duration_bucket};
use http::StatusCode;

/// What the gateway has done since it began. All only grow, except for [`Counters::open_connections`].
#[derive(Debug, Default)]
pub struct Counters {
    statuses: [AtomicU64; 6],
    durations: [AtomicU64; DURATIONS_MS.len() + 1],
    duration_us: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) connects: AtomicU64,
    pub(crate) reused: AtomicU64,
}

impl Counters {
    /// Answers with a status of `class`: 1 for 1xx (a tunnel began), up to 5 for 5xx; 0 counts statuses above 599.
    #[must_use]
    pub fn requests(&self, class: usize) -> u64 {
        self.statuses.get(class).map_or(0, load)
    }

    /// Connections of clients that are open now, tunnels among them.
    #[must_use]
    pub fn open_connections(&self) -> u64 {
        load(&self.open)
    }

    /// Connections that were turned away because too many were open.
    #[must_use]
    pub fn refused_connections(&self) -> u64 {
        load(&self.refused)
    }

    /// Connections that were made to upstreams.
    #[must_use]
    pub fn upstream_connects(&self) -> u64 {
        load(&self.connects)
    }

    /// Requests that went over a connection to an upstream that an earlier one had left.
    #[must_use]
    pub fn upstream_reused(&self) -> u64 {
        load(&self.reused)
    }

    /// How many requests took how long until the head of their answer went out, by the bounds of [`DURATIONS_MS`].
    #[must_use]
    pub fn durations(&self) -> Vec<u64> {
        self.durations.iter().map(load).collect()
    }

    /// All these times together, in microseconds.
    #[must_use]
    pub fn duration_us(&self) -> u64 {
        load(&self.duration_us)
    }

    pub(crate) fn count(&self, status: StatusCode, took: Duration) {
        let us = took.as_micros() as u64;
        add(&self.durations[duration_bucket(us)]);
        self.duration_us.fetch_add(us, Ordering::Relaxed);
        let class = usize::from(status.as_u16() / 100);
        add(self.statuses.get(class).unwrap_or(&self.statuses[0]));
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
