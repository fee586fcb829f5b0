//! A line that shows how much of the time has passed.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use scenario_plan::Scenario;

use crate::text;

const WIDTH: usize = 30;

/// The line, on standard error. It is gone when this is dropped.
pub(super) struct Bar {
    begun: Instant,
    whole: Duration,
    label: String,
}

impl Bar {
    /// None where nobody would see it.
    pub(super) fn new(scenario: &Scenario, processes: u32) -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let users = scenario.load.total_users;
        let label = text::plain(&format!("{}: {users} users in {processes} processes", scenario.id));
        Some(Self { begun: Instant::now(), whole: scenario.load.test_duration, label })
    }
}

/// Keeps the line up to date, for ever.
pub(super) async fn show(bar: Option<&Bar>) -> Infallible {
    let Some(bar) = bar else { return pending().await };
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tick.tick().await;
        put(&format!("\r\x1b[K{}", line(&bar.label, bar.begun.elapsed(), bar.whole)));
    }
}

fn line(label: &str, passed: Duration, whole: Duration) -> String {
    let share = (passed.as_secs_f64() / whole.as_secs_f64().max(0.001)).min(1.0);
    let filled = (share * WIDTH as f64) as usize;
    let (done, left) = ("#".repeat(filled), ".".repeat(WIDTH - filled));
    format!("{label} [{done}{left}] {} of {} s", passed.as_secs(), whole.as_secs_f64().ceil())
}

impl Drop for Bar {
    fn drop(&mut self) {
        put("\r\x1b[K");
    }
}

fn put(text: &str) {
    let mut out = io::stderr().lock();
    // A terminal that is gone leaves nobody who would look.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fills_and_stays_full() {
        let at = |seconds| line("a", Duration::from_secs(seconds), Duration::from_secs(10));
        assert_eq!(at(0), format!("a [{}] 0 of 10 s", ".".repeat(30)));
        assert_eq!(at(5), format!("a [{}{}] 5 of 10 s", "#".repeat(15), ".".repeat(15)));
        assert_eq!(at(12), format!("a [{}] 12 of 10 s", "#".repeat(30)));
    }
}
