//! Cron: which minutes of a civil calendar are meant, and when each of them is in a time zone.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// A pattern of cron in a time zone.
///
/// The pattern is searched in civil time alone. What a zone makes of it is decided here: a time that a zone leaves out
/// is at the end of the gap, and a time that comes twice is the first of the two.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    cron: Cron,
    zone: TimeZone,
}

/// What the clock shows, as an instant that calendars know; they end in the years -9999 and 9999.
fn instant(wall: i64) -> Timestamp {
    let end = if wall < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(wall).unwrap_or(end)
}

impl Calendar {
    /// Reads a pattern of five fields and the name of a time zone, which is UTC where there is none.
    ///
    /// # Errors
    /// The key at fault, and why.
    pub(super) fn new(cron: &str, zone: Option<&str>) -> Result<Self, (&'static str, String)> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(cron).map_err(|error| {
            let why = "five fields are needed: minute, hour, day of the month, month, day of the week";
            ("cron", format!("{cron:?} is no pattern of cron ({error}); {why}"))
        })?;
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => match TimeZone::get(name) {
                Ok(zone) if !zone.is_unknown() => zone,
                _ => {
                    return Err((
                        "timezone",
                        format!("there is no time zone {name:?}; names are as Europe/Brussels"),
                    ));
                }
            },
        };
        Ok(Self { cron, zone })
    }

    /// The civil minute that a clock in the zone shows.
    fn civil(&self, wall: i64) -> DateTime {
        let shown = self.zone.to_datetime(instant(wall));
        DateTime::from_parts(shown.date(), jiff::civil::time(shown.hour(), shown.minute(), 0, 0))
    }

    /// When a civil minute is, in milliseconds since the Unix epoch; nothing beyond the calendar's end.
    fn at(&self, civil: DateTime) -> Option<i64> {
        let at = match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok()?,
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok()?,
            AmbiguousOffset::Gap { before, after } => {
                // Read with the later offset the time lies before the gap, and with the earlier one behind it.
                let (from, to) = (after.to_timestamp(civil).ok()?, before.to_timestamp(civil).ok()?);
                let change = self.zone.following(from).find(|change| change.offset() == after);
                change.map_or(to, |change| change.timestamp().min(to))
            }
        };
        Some(at.as_millisecond())
    }

    /// When the first minute is that is later than `wall`; nothing where the pattern has none.
    ///
    /// A later civil minute is never at an earlier instant, so one call after the other, each from when the one before
    /// was due or later, names no minute twice.
    pub(super) fn next(&self, wall: i64) -> Option<i64> {
        let mut civil = self.civil(wall);
        loop {
            civil = self.cron.find_next_occurrence(&civil, false).ok()?;
            let at = self.at(civil)?;
            // While an hour is repeated, its minutes lie behind although the clock has yet to show them again.
            if at > wall {
                return Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(cron: &str, zone: &str) -> Calendar {
        Calendar::new(cron, Some(zone)).expect("a calendar")
    }

    fn wall(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a time").as_millisecond()
    }

    /// The next times from one instant on, as instants.
    fn from(cron: &str, zone: &str, start: &str, count: usize) -> Vec<String> {
        let calendar = calendar(cron, zone);
        let mut now = wall(start);
        let mut found = Vec::new();
        for _ in 0..count {
            now = calendar.next(now).expect("a next time");
            found.push(Timestamp::from_millisecond(now).expect("a time").to_string());
        }
        found
    }

    #[test]
    fn names_lists_ranges_and_steps_are_understood() {
        let cases: [(&str, &str, &[&str]); 8] = [
            ("30 8 * * mon-fri", "2026-01-02T09:00:00Z", &["2026-01-05T08:30:00Z", "2026-01-06T08:30:00Z"]),
            ("*/20 1,3 * * *", "2026-01-01T01:20:00Z", &["2026-01-01T01:40:00Z", "2026-01-01T03:00:00Z"]),
            ("0 0 29 FEB *", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
            ("0 0 * * 7", "2026-01-01T00:00:00Z", &["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]),
            ("0 0 * * 0", "2026-01-01T00:00:00Z", &["2026-01-04T00:00:00Z"]),
            // Either of the two days, where both are given.
            ("0 0 13 * fri", "2026-03-01T00:00:00Z", &["2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z"]),
            ("0-4/2 0 1 1 *", "2026-06-01T00:00:00Z", &["2027-01-01T00:00:00Z", "2027-01-01T00:02:00Z"]),
            ("59 23 31 12 *", "2026-06-01T00:00:00Z", &["2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"]),
        ];
        for (cron, start, expected) in cases {
            assert_eq!(from(cron, "UTC", start, expected.len()), expected, "{cron}");
        }
    }

    #[test]
    fn a_time_that_does_not_exist_is_right_behind_the_gap_and_once() {
        // 2026-03-29, 02:00 to 03:00 in Brussels; the gap ends at 01:00 UTC.
        let daily =
            ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"];
        assert_eq!(from("30 2 * * *", "Europe/Brussels", "2026-03-27T12:00:00Z", 4), daily);
        let often =
            ["2026-03-29T00:30:00Z", "2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"];
        assert_eq!(from("*/15 * * * *", "Europe/Brussels", "2026-03-29T00:15:00Z", 4), often);
        // Half an hour in Lord Howe, and a whole day in Apia.
        assert_eq!(
            from("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 2),
            ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]
        );
        assert_eq!(
            from("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3),
            ["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_the_first_and_once() {
        // 2026-10-25, 03:00 back to 02:00 in Brussels, at 01:00 UTC.
        let daily = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        assert_eq!(from("30 2 * * *", "Europe/Brussels", "2026-10-24T12:00:00Z", 2), daily);
        let often = ["2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z", "2026-10-25T02:30:00Z"];
        assert_eq!(from("*/30 * * * *", "Europe/Brussels", "2026-10-25T00:00:00Z", 3), often);
        // Who begins in the second of the two hours is not called for what the first one had.
        assert_eq!(
            from("50 2,4 * * *", "Europe/Brussels", "2026-10-25T01:10:00Z", 2),
            ["2026-10-25T03:50:00Z", "2026-10-26T01:50:00Z"]
        );
    }

    #[test]
    fn patterns_without_a_next_time_have_none_and_calendars_end() {
        assert_eq!(calendar("0 0 30 2 *", "UTC").next(0), None);
        for wall in [i64::MIN, i64::MAX] {
            let calendar = calendar("* * * * *", "Europe/Brussels");
            let _ = calendar.next(wall);
        }
    }
}
