//! When a service is started again: intensity, period and growing waits. It reads no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use api::service::{RestartPolicy, RestartSpec};

/// What becomes of a service that ended by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is started again after this wait.
    Again(Duration),
    /// It has failed; why.
    Failed(String),
    /// It stays as it is.
    Rest,
}

/// How often it ended lately.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    at: VecDeque<Instant>,
    wait: Option<Duration>,
}

impl Restarts {
    /// It ended at `now`, having run for `ran`.
    pub(crate) fn ended(
        &mut self,
        spec: &RestartSpec,
        now: Instant,
        success: bool,
        ran: Duration,
    ) -> Decision {
        match spec.policy {
            RestartPolicy::Never => {
                return if success {
                    Decision::Rest
                } else {
                    Decision::Failed("its policy is never".to_owned())
                };
            }
            RestartPolicy::OnFailure if success => return Decision::Rest,
            RestartPolicy::OnFailure | RestartPolicy::Always => {}
        }
        let period = Duration::from_secs(spec.period_secs);
        while self.at.front().is_some_and(|at| now.duration_since(*at) >= period) {
            self.at.pop_front();
        }
        if self.at.len() >= spec.intensity as usize {
            return Decision::Failed(format!(
                "it was started again {} times in {} s, which is as often as may be",
                spec.intensity, spec.period_secs
            ));
        }
        self.at.push_back(now);
        let max = Duration::from_millis(spec.backoff.max_ms);
        let first = Duration::from_millis(spec.backoff.initial_ms);
        // One that ran for longer than the largest wait begins with the smallest again.
        let wait = match self.wait {
            Some(before) if ran < max => (before * 2).min(max),
            _ => first,
        };
        self.wait = Some(wait);
        Decision::Again(wait)
    }

    /// Somebody started it by hand: all that was before counts no more.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_largest_and_too_many_ends_are_a_failure() {
        let spec = RestartSpec { intensity: 5, period_secs: 60, ..RestartSpec::default() };
        let (mut restarts, mut now) = (Restarts::default(), Instant::now());
        let mut waits = Vec::new();
        let end = loop {
            match restarts.ended(&spec, now, false, Duration::ZERO) {
                Decision::Again(wait) => waits.push(wait.as_millis()),
                other => break other,
            }
            now += Duration::from_secs(1);
        };
        assert_eq!(waits, [100, 200, 400, 800, 1600]);
        assert!(matches!(end, Decision::Failed(why) if why.contains("5 times in 60 s")));
        // The window moves on.
        now += Duration::from_secs(60);
        assert_eq!(
            restarts.ended(&spec, now, true, Duration::ZERO),
            Decision::Again(Duration::from_millis(3200))
        );
        let long = Duration::from_secs(31);
        assert_eq!(restarts.ended(&spec, now, true, long), Decision::Again(Duration::from_millis(100)));
    }

    #[test]
    fn the_policy_decides_which_ends_count() {
        let now = Instant::now();
        let of = |policy, success| {
            let spec = RestartSpec { policy, ..RestartSpec::default() };
            Restarts::default().ended(&spec, now, success, Duration::ZERO)
        };
        assert_eq!(of(RestartPolicy::OnFailure, true), Decision::Rest);
        assert!(matches!(of(RestartPolicy::OnFailure, false), Decision::Again(_)));
        assert!(matches!(of(RestartPolicy::Always, true), Decision::Again(_)));
        assert_eq!(of(RestartPolicy::Never, true), Decision::Rest);
        assert!(matches!(of(RestartPolicy::Never, false), Decision::Failed(_)));
    }
}
