//! Tests of what comes after a failure.

use super::*;

const FAILED: [Outcome; 4] =
    [Outcome::TimedOut, Outcome::NotReady, Outcome::MemoryLimit, Outcome::Exited { code: 1 }];

#[test]
fn only_what_may_pass_is_retried_unless_all_is_asked_for() {
    let passing = [Outcome::WorkerLost, Outcome::Exited { code: 75 }, Outcome::Killed { signal: 9 }];
    for outcome in &passing {
        assert!(is_retried(RetryOn::Transient, outcome) && is_retried(RetryOn::Failure, outcome));
    }
    for outcome in &FAILED {
        assert!(!is_retried(RetryOn::Transient, outcome) && is_retried(RetryOn::Failure, outcome));
    }
    assert!(!is_retried(RetryOn::Transient, &Outcome::Killed { signal: 11 }), "its own fault");
    assert!(!is_retried(RetryOn::Failure, &Outcome::LoadFailed { message: String::new() }));
}
