//! Times as people read them.

use std::time::{Duration, UNIX_EPOCH};

/// A point in time: how far away it is, and exactly when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    /// `3 s ago`, `in 2 min`.
    pub(crate) words: String,
    /// `2026-01-31 12:00:00.123 UTC`.
    pub(crate) exact: String,
    /// The same for programs.
    pub(crate) machine: String,
    /// The same in milliseconds since the Unix epoch.
    pub(crate) ms: u64,
}

impl Moment {
    /// A point in time that is past, or to come.
    pub(crate) fn at(ms: u64, now_ms: u64) -> Self {
        let words = match (now_ms.checked_sub(ms), ms.saturating_sub(now_ms)) {
            (Some(past), _) if past < 1000 => "just now".to_owned(),
            (Some(past), _) => format!("{} ago", distance(past / 1000)),
            // Rounded up: nothing is "in 0 s".
            (None, ahead) => format!("in {}", distance(ahead.div_ceil(1000))),
        };
        let machine = exact(ms);
        let exact = machine.replace('T', " ").replace('Z', " UTC");
        Self { words, exact, machine, ms }
    }

    /// Since when something is as it is: `for 2 h`.
    pub(crate) fn since(ms: u64, now_ms: u64) -> Self {
        let words = format!("for {}", distance(now_ms.saturating_sub(ms) / 1000));
        Self { words, ..Self::at(ms, now_ms) }
    }

    /// When something is due: what should have happened already happens at any moment.
    pub(crate) fn due(ms: u64, now_ms: u64) -> Self {
        let moment = Self::at(ms, now_ms);
        if ms > now_ms { moment } else { Self { words: "now".to_owned(), ..moment } }
    }
}

fn exact(ms: u64) -> String {
    // The last second that the format can hold.
    let known = Duration::from_millis(ms.min(253_402_300_799_000));
    humantime::format_rfc3339_millis(UNIX_EPOCH + known).to_string()
}

fn distance(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}

/// A length of time: `740 µs`, `12.3 ms`, `4.6 s`, `3 min 5 s`.
pub(crate) fn span(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        1_000_000..60_000_000 => format!("{:.1} s", micros as f64 / 1e6),
        60_000_000.. => format!("{} min {} s", micros / 60_000_000, micros / 1_000_000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_how_far_and_the_title_says_when() {
        let now = 1_700_000_000_123;
        let words = |ms: u64| Moment::at(ms, now).words;
        for (ms, text) in [
            (now, "just now"),
            (now - 3000, "3 s ago"),
            (now - 120_000, "2 min ago"),
            (now - 7_200_000, "2 h ago"),
            (now - 400_000_000, "4 days ago"),
            (now + 1, "in 1 s"),
            (now + 59_500, "in 1 min"),
        ] {
            assert_eq!(words(ms), text);
        }
        let moment = Moment::at(now, now);
        assert_eq!(moment.exact, "2023-11-14 22:13:20.123 UTC");
        assert_eq!(moment.machine, "2023-11-14T22:13:20.123Z");
        assert!(!Moment::at(u64::MAX, now).exact.is_empty());
    }

    #[test]
    fn what_is_overdue_is_due_now() {
        assert_eq!(Moment::due(1000, 5000).words, "now");
        assert_eq!(Moment::due(8000, 5000).words, "in 3 s");
    }

    #[test]
    fn what_lasts_says_for_how_long() {
        assert_eq!(Moment::since(1000, 61_000).words, "for 1 min");
        assert_eq!(Moment::since(61_000, 1000).words, "for 0 s");
    }

    #[test]
    fn spans() {
        for (micros, text) in
            [(740, "740 µs"), (12_345, "12.3 ms"), (4_600_000, "4.6 s"), (185_000_000, "3 min 5 s")]
        {
            assert_eq!(span(micros), text);
        }
    }
}
