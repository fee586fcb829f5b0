//! Times, sizes and states as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

use api::session::{SessionInfo, StartKind};
pub(crate) use api::size::{bytes, kib};
use api::{Outcome, SessionState};

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long ago: `3s ago`, `5m ago`, `2h ago`, `4d ago`.
pub(crate) fn ago(then_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(then_ms) / 1000;
    let (count, unit) = match seconds {
        0 => return "just now".to_owned(),
        1..60 => (seconds, 's'),
        60..3600 => (seconds / 60, 'm'),
        3600..86_400 => (seconds / 3600, 'h'),
        86_400.. => (seconds / 86_400, 'd'),
    };
    format!("{count}{unit} ago")
}

/// How long until then: `in 3s`, `in 5m`; what is overdue is due `now`.
pub(crate) fn until(then_ms: u64, now_ms: u64) -> String {
    // Rounded up: nothing is in 0 s.
    match then_ms.saturating_sub(now_ms).div_ceil(1000) {
        0 => "now".to_owned(),
        seconds @ 1..60 => format!("in {seconds}s"),
        seconds @ 60..3600 => format!("in {}m", seconds / 60),
        seconds @ 3600..86_400 => format!("in {}h", seconds / 3600),
        seconds => format!("in {}d", seconds / 86_400),
    }
}

/// A length of time: `740 µs`, `12.3 ms`, `4.6 s`, `3m 05s`, `2h 10m`, `4d 3h`.
pub(crate) fn span(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        1_000_000..60_000_000 => format!("{:.1} s", micros as f64 / 1e6),
        60_000_000..3_600_000_000 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600_000_000..86_400_000_000 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        86_400_000_000.. => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A module as a request named it, a digest cut to what tells it apart.
pub(crate) fn module(name: &str) -> String {
    match name.strip_prefix("sha256:") {
        Some(digest) => format!("sha256:{}…", digest.chars().take(12).collect::<String>()),
        None => name.to_owned(),
    }
}

/// How a session came to its process, in a word.
pub(crate) fn start(start: StartKind) -> &'static str {
    match start {
        StartKind::Warm => "warm",
        StartKind::Parked => "parked",
        StartKind::Cold => "cold",
    }
}

/// A point in time: `2026-01-31T12:00:00.123Z`.
pub(crate) fn timestamp(ms: u64) -> String {
    match UNIX_EPOCH.checked_add(std::time::Duration::from_millis(ms.min(253_402_300_799_000))) {
        Some(time) => humantime::format_rfc3339_millis(time).to_string(),
        None => ms.to_string(),
    }
}

/// Where a session stands, and how it ended, in two words.
pub(crate) fn state(session: &SessionInfo) -> String {
    match &session.outcome {
        Some(Outcome::Exited { code }) => format!("exit {code}"),
        Some(Outcome::Trapped { trap, .. }) => format!("trap {}", plain(trap)),
        Some(Outcome::Killed { signal }) => format!("signal {signal}"),
        Some(outcome) => outcome.name().replace('_', " "),
        None => match session.state {
            SessionState::Pending => "pending",
            SessionState::Running if session.ready => "ready",
            SessionState::Running => "running",
            SessionState::Succeeded => "succeeded",
            SessionState::Failed => "failed",
            SessionState::Cancelled => "cancelled",
        }
        .to_owned(),
    }
}

/// Text from elsewhere, without anything that could drive the terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (seconds, text) in
            [(0, "just now"), (3, "3s ago"), (60, "1m ago"), (7200, "2h ago"), (200_000, "2d ago")]
        {
            assert_eq!(ago(1000, 1000 + seconds * 1000), text);
        }
        assert_eq!(ago(5000, 1000), "just now");
    }

    #[test]
    fn what_is_to_come() {
        for (ms, text) in
            [(0, "now"), (1, "in 1s"), (59_000, "in 59s"), (61_000, "in 1m"), (90_000_000, "in 1d")]
        {
            assert_eq!(until(1000 + ms, 1000), text);
        }
        assert_eq!(until(0, 1000), "now");
    }

    #[test]
    fn spans() {
        let table = [
            (740, "740 µs"),
            (12_345, "12.3 ms"),
            (4_600_000, "4.6 s"),
            (185_000_000, "3m 05s"),
            (7_800_000_000, "2h 10m"),
            (356_400_000_000, "4d 3h"),
        ];
        for (micros, text) in table {
            assert_eq!(span(micros), text);
        }
    }

    #[test]
    fn points_in_time() {
        assert_eq!(timestamp(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert!(!timestamp(u64::MAX).is_empty());
    }

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(plain("a\x1b[31mb\n\u{9b}"), "a\u{fffd}[31mb\u{fffd}\u{fffd}");
    }
}
