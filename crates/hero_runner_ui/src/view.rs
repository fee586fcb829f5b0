//! What the server says, as people read it.

pub(crate) mod bars;
pub(crate) mod schedule;
pub(crate) mod service;

mod moment;
mod words;

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use moment::{Moment, span};
pub(crate) use words::*;

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
