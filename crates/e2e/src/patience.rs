//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// How long anything may take before it counts as hung: `E2E_PATIENCE_S`, 30 s by default.
#[must_use]
pub fn patience() -> Duration {
    let seconds = std::env::var("E2E_PATIENCE_S").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(30))
}

/// Looks again and again until there is something to see, and returns it.
///
/// # Panics
/// When patience runs out first.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not happen within {:?}: {what}", patience());
        std::thread::sleep(INTERVAL);
    }
}
