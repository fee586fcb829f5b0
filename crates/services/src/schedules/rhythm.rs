//! When a schedule is due: decisions, told what the clocks say, and without a clock of their own.

use api::schedule::Schedule;

use super::calendar::Calendar;

/// The longest that the wall clock is not looked at, in milliseconds.
const LOOK: u64 = 30_000;

/// A clock that is set back by less than this repeats nothing, in milliseconds; set back by more it was wrong before.
const SET_BACK: i64 = 3 * 3600 * 1000;

/// What the clocks say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Now {
    /// Milliseconds on a clock that nobody sets.
    pub(super) steady: u64,
    /// Milliseconds since the Unix epoch.
    pub(super) wall: i64,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Whether a call is due now.
    pub(super) fire: bool,
    /// When to look again, on the steady clock.
    pub(super) wake: u64,
}

/// When a schedule is due.
#[derive(Debug, Clone)]
pub(super) enum Rhythm {
    /// Every so often.
    Every(Every),
    /// As a calendar says.
    Calendar(Box<Dated>),
}

/// A grid on the steady clock.
#[derive(Debug, Clone)]
pub(super) struct Every {
    period: u64,
    due: u64,
}

/// A place in a calendar.
#[derive(Debug, Clone)]
pub(super) struct Dated {
    calendar: Calendar,
    /// When the next call is due, in milliseconds since the Unix epoch.
    due: Option<i64>,
    /// The latest that the wall clock has shown since it was trusted.
    latest: i64,
    /// The clocks when they were looked at last.
    seen: Now,
}

impl Rhythm {
    /// The rhythm of a schedule that is declared now.
    ///
    /// # Errors
    /// The key at fault, and why.
    pub(super) fn new(schedule: &Schedule, now: Now) -> Result<Self, (&'static str, String)> {
        match (schedule.interval_secs, &schedule.cron) {
            (Some(0), None) => Err(("interval_secs", "an interval has at least one second".to_owned())),
            (Some(_), None) if schedule.timezone.is_some() => {
                Err(("timezone", "a time zone is for cron; an interval has none".to_owned()))
            }
            (Some(seconds), None) => {
                let period = seconds.saturating_mul(1000);
                Ok(Self::Every(Every { period, due: now.steady.saturating_add(period) }))
            }
            (None, Some(cron)) => {
                let calendar = Calendar::new(cron, schedule.timezone.as_deref())?;
                Ok(Self::Calendar(Box::new(Dated::new(calendar, now))))
            }
            (Some(_), Some(_)) => {
                Err(("cron", "there is interval_secs, too; one of the two is needed".to_owned()))
            }
            (None, None) => Err(("interval_secs", "one of interval_secs and cron is needed".to_owned())),
        }
    }

    /// Looks at the clocks. Whoever is late is told once, whatever was missed.
    pub(super) fn look(&mut self, now: Now) -> Step {
        match self {
            Self::Every(every) => every.look(now),
            Self::Calendar(dated) => dated.look(now),
        }
    }

    /// When the next call is due, in milliseconds since the Unix epoch.
    pub(super) fn next(&self, now: Now) -> Option<u64> {
        let at = match self {
            Self::Every(every) => {
                now.wall.checked_add(i64::try_from(every.due.saturating_sub(now.steady)).ok()?)?
            }
            Self::Calendar(dated) => dated.due?,
        };
        u64::try_from(at).ok()
    }
}

impl Every {
    fn look(&mut self, now: Now) -> Step {
        let fire = now.steady >= self.due;
        if fire {
            let late = (now.steady - self.due) % self.period;
            self.due = (now.steady - late).saturating_add(self.period);
        }
        Step { fire, wake: self.due }
    }
}

impl Dated {
    fn new(calendar: Calendar, now: Now) -> Self {
        let due = calendar.next(now.wall);
        Self { calendar, due, latest: now.wall, seen: now }
    }

    fn look(&mut self, now: Now) -> Step {
        // What the clock would show if nobody had set it: a step back is measured from there, not from the last look.
        let passed = i64::try_from(now.steady.saturating_sub(self.seen.steady)).unwrap_or(i64::MAX);
        let unset = self.seen.wall.saturating_add(passed);
        self.latest = self.latest.max(unset).max(now.wall);
        self.seen = now;
        if self.latest.saturating_sub(now.wall) >= SET_BACK {
            *self = Self::new(self.calendar.clone(), now);
        }
        let fire = self.due.is_some_and(|due| now.wall >= due);
        if fire {
            self.due = self.calendar.next(now.wall);
        }
        let rest = self.due.map_or(LOOK, |due| due.abs_diff(now.wall));
        Step { fire, wake: now.steady.saturating_add(rest.clamp(1, LOOK)) }
    }
}

#[cfg(test)]
#[path = "rhythm_tests.rs"]
mod tests;
