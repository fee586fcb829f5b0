//! Exit codes: what a shell sees of an outcome.

use api::Outcome;

/// A limit of time ran out, as `timeout(1)` says it.
pub(crate) const TIMED_OUT: u8 = 124;
/// hero_runner itself failed, as `timeout(1)`, `env(1)` and container tools say it.
pub(crate) const OWN_FAILURE: u8 = 125;
/// What a program that SIGPIPE ends leaves behind.
pub(crate) const BROKEN_PIPE: u8 = 128 + 13;

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;

/// The code of a process that a signal ended, as shells count it.
pub(crate) fn by_signal(signal: i32) -> u8 {
    u8::try_from(128 + (signal & 0x7f)).unwrap_or(u8::MAX)
}

/// The code of an outcome.
pub(crate) fn code(outcome: &Outcome) -> u8 {
    match outcome {
        // The kernel, too, keeps only the lowest eight bits.
        Outcome::Exited { code } => code.to_le_bytes()[0],
        Outcome::Returned { ok } => u8::from(!ok),
        Outcome::Trapped { .. } => by_signal(SIGABRT),
        Outcome::TimedOut | Outcome::NotReady => TIMED_OUT,
        Outcome::MemoryLimit => by_signal(SIGKILL),
        Outcome::Killed { signal } => by_signal(*signal),
        Outcome::Cancelled => by_signal(SIGTERM),
        Outcome::LoadFailed { .. } | Outcome::WorkerLost | Outcome::Interrupted => OWN_FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_code() {
        let text = String::new;
        let table = [
            (Outcome::Exited { code: 0 }, 0),
            (Outcome::Exited { code: 7 }, 7),
            (Outcome::Exited { code: 263 }, 7),
            (Outcome::Exited { code: -1 }, 255),
            (Outcome::Trapped { trap: text(), message: text() }, 134),
            (Outcome::LoadFailed { message: text() }, 125),
            (Outcome::Returned { ok: true }, 0),
            (Outcome::Returned { ok: false }, 1),
            (Outcome::TimedOut, 124),
            (Outcome::NotReady, 124),
            (Outcome::MemoryLimit, 137),
            (Outcome::Killed { signal: 9 }, 137),
            (Outcome::Killed { signal: 11 }, 139),
            (Outcome::Cancelled, 143),
            (Outcome::WorkerLost, 125),
            (Outcome::Interrupted, 125),
        ];
        for (outcome, expected) in table {
            assert_eq!(code(&outcome), expected, "{outcome}");
        }
    }
}
