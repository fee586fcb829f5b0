//! How sessions end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::session::SessionState;

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// The guest returned or called `proc_exit`.
    Exited {
        /// The exit code; 0 is success.
        code: i32,
    },
    /// The function that the session invoked has returned; the session's `value` is what.
    Returned {
        /// Not a `result` that is an error.
        ok: bool,
    },
    /// The guest broke a rule of WebAssembly.
    Trapped {
        /// A stable name such as `unreachable` or `memory_out_of_bounds`.
        trap: String,
        /// The engine's own words.
        message: String,
    },
    /// The engine refused the module when the session began.
    LoadFailed {
        /// The engine's own words.
        message: String,
    },
    /// `timeout_ms` ran out.
    TimedOut,
    /// It was not ready in time.
    NotReady,
    /// The guest wanted more memory than `memory_limit_mb`, and failed without it.
    MemoryLimit,
    /// A signal that hero_runner did not send ended the process.
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// `session_stop` ended it, or it was stopped before it began.
    Cancelled,
    /// The worker or its zygote was lost, or what it said did not fit how it ended.
    WorkerLost,
    /// The server died while the session ran.
    Interrupted,
}

impl Outcome {
    /// Exit code 0, or a function that returned no error.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Exited { code: 0 } | Self::Returned { ok: true })
    }

    /// The public state that this outcome leads to.
    #[must_use]
    pub fn state(&self) -> SessionState {
        match self {
            outcome if outcome.is_success() => SessionState::Succeeded,
            Self::Cancelled => SessionState::Cancelled,
            _ => SessionState::Failed,
        }
    }

    /// The stable name of the kind, as on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exited { .. } => "exited",
            Self::Returned { .. } => "returned",
            Self::Trapped { .. } => "trapped",
            Self::LoadFailed { .. } => "load_failed",
            Self::TimedOut => "timed_out",
            Self::NotReady => "not_ready",
            Self::MemoryLimit => "memory_limit",
            Self::Killed { .. } => "killed",
            Self::Cancelled => "cancelled",
            Self::WorkerLost => "worker_lost",
            Self::Interrupted => "interrupted",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exited with code {code}"),
            Self::Returned { ok: true } => f.write_str("returned"),
            Self::Returned { ok: false } => f.write_str("returned an error"),
            Self::Trapped { trap, message } => write!(f, "trapped ({trap}): {message}"),
            Self::LoadFailed { message } => write!(f, "the engine refused the module: {message}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::NotReady => f.write_str("was not ready in time"),
            Self::MemoryLimit => f.write_str("reached its memory limit"),
            // Compiled code runs on the process's own stack, and its end is a fault that nothing can catch.
            Self::Killed { signal: 11 } => {
                f.write_str("killed by signal 11 (SIGSEGV): most likely it recursed until its stack was full")
            }
            Self::Killed { signal: 9 } => f.write_str("killed by signal 9 (SIGKILL) from outside"),
            Self::Killed { signal } => write!(f, "killed by signal {signal}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::WorkerLost => f.write_str("its worker was lost"),
            Self::Interrupted => f.write_str("interrupted: the server died while it ran"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_its_name_on_the_wire() {
        let outcomes = [
            Outcome::Exited { code: 7 },
            Outcome::Returned { ok: false },
            Outcome::Trapped { trap: "unreachable".into(), message: "m".into() },
            Outcome::LoadFailed { message: "m".into() },
            Outcome::TimedOut,
            Outcome::NotReady,
            Outcome::MemoryLimit,
            Outcome::Killed { signal: 9 },
            Outcome::Cancelled,
            Outcome::WorkerLost,
            Outcome::Interrupted,
        ];
        for outcome in outcomes {
            let value = serde_json::to_value(&outcome).unwrap();
            assert_eq!(value["kind"], outcome.name());
            assert_eq!(serde_json::from_value::<Outcome>(value).unwrap(), outcome);
        }
    }
}
