//! How a session ended: what the kernel says, and what of the worker's own report fits it.

use api::Outcome;
use frames::Report;
use frames::message::WaitStatus;
use sys::pidfd::SIGABRT;

/// Why the supervisor killed a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The time was up.
    Timeout,
    /// It was not ready in time.
    NotReady,
    /// Somebody asked for it.
    Stop,
}

/// The outcome. `status` is the kernel's word, `None` when the zygote was lost before it could pass it on;
/// `report` is the worker's claim; `growth_refused` says that the engine refused memory during the run.
pub(crate) fn decide(
    cause: Option<Cause>,
    status: Option<WaitStatus>,
    report: Option<Report>,
    growth_refused: bool,
) -> Outcome {
    match (status, report) {
        (Some(WaitStatus::Exited(code)), Some(report)) if report.exit_status() == code => match report {
            Report::Exited { code } => Outcome::Exited { code },
            Report::Returned { ok } => Outcome::Returned { ok },
            Report::Trapped { .. } if growth_refused => Outcome::MemoryLimit,
            Report::Trapped { trap, message } => Outcome::Trapped { trap, message },
            Report::LoadFailed { message } => Outcome::LoadFailed { message },
        },
        (Some(WaitStatus::Signaled(signal)), _) => match cause {
            Some(Cause::Timeout) => Outcome::TimedOut,
            Some(Cause::NotReady) => Outcome::NotReady,
            Some(Cause::Stop) => Outcome::Cancelled,
            // The engine gives up by abort(3) when its own memory ends.
            None if growth_refused && signal == SIGABRT => Outcome::MemoryLimit,
            None => Outcome::Killed { signal },
        },
        _ => Outcome::WorkerLost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXITED_7: Option<Report> = Some(Report::Exited { code: 7 });

    #[test]
    fn a_claim_counts_only_when_the_kernel_confirms_it() {
        let decide = |status, report| decide(None, Some(status), report, false);
        assert_eq!(decide(WaitStatus::Exited(7), EXITED_7), Outcome::Exited { code: 7 });
        assert_eq!(decide(WaitStatus::Exited(0), EXITED_7), Outcome::WorkerLost);
        assert_eq!(decide(WaitStatus::Exited(0), None), Outcome::WorkerLost);
        assert_eq!(decide(WaitStatus::Signaled(9), EXITED_7), Outcome::Killed { signal: 9 });
    }

    #[test]
    fn a_kill_of_ours_has_our_reason() {
        let killed = Some(WaitStatus::Signaled(9));
        assert_eq!(decide(Some(Cause::Timeout), killed, None, false), Outcome::TimedOut);
        assert_eq!(decide(Some(Cause::NotReady), killed, None, false), Outcome::NotReady);
        assert_eq!(decide(Some(Cause::Stop), killed, None, false), Outcome::Cancelled);
    }

    #[test]
    fn a_guest_that_ended_before_the_kill_ended_by_itself() {
        let exited = Some(WaitStatus::Exited(7));
        assert_eq!(decide(Some(Cause::Timeout), exited, EXITED_7, false), Outcome::Exited { code: 7 });
    }

    #[test]
    fn a_trap_after_memory_was_refused_is_the_memory_limit() {
        let report = Report::Trapped { trap: "unreachable".into(), message: String::new() };
        let status = Some(WaitStatus::Exited(report.exit_status()));
        assert_eq!(decide(None, status, Some(report), true), Outcome::MemoryLimit);
    }

    #[test]
    fn without_the_kernels_word_the_worker_is_lost() {
        assert_eq!(decide(Some(Cause::Stop), None, EXITED_7, false), Outcome::WorkerLost);
    }

    #[test]
    fn exit_codes_beyond_a_byte_are_confirmed_by_their_low_byte() {
        let report = Some(Report::Exited { code: 256 });
        assert_eq!(decide(None, Some(WaitStatus::Exited(0)), report, false), Outcome::Exited { code: 256 });
    }
}
