//! Schedules as rows.

use api::schedule::{ScheduleInfo, ScheduleRun};

use super::{Moment, millis};

/// A schedule.
#[derive(Debug)]
pub(crate) struct ScheduleRow {
    pub(crate) id: String,
    pub(crate) call: String,
    pub(crate) when: String,
    pub(crate) paused: bool,
    pub(crate) running: bool,
    pub(crate) next: Option<Moment>,
    pub(crate) last: Option<CallView>,
    pub(crate) runs: u64,
    pub(crate) skipped: u64,
}

/// A call that was made.
#[derive(Debug)]
pub(crate) struct CallView {
    /// The status, or that there was none.
    pub(crate) verdict: String,
    pub(crate) tone: &'static str,
    pub(crate) took: String,
    pub(crate) error: Option<String>,
    pub(crate) when: Moment,
    pub(crate) manual: bool,
}

impl ScheduleRow {
    pub(crate) fn of(schedule: &ScheduleInfo, now_ms: u64) -> Self {
        Self {
            id: schedule.id.clone(),
            call: format!("{} {}", schedule.method, schedule.endpoint),
            when: schedule.when.clone(),
            paused: schedule.paused,
            running: schedule.running,
            next: schedule.next_at.map(|at| Moment::due(at, now_ms)),
            last: schedule.last_run.as_ref().map(|run| CallView::of(run, now_ms)),
            runs: schedule.runs,
            skipped: schedule.skipped,
        }
    }
}

impl CallView {
    pub(crate) fn of(run: &ScheduleRun, now_ms: u64) -> Self {
        let good = run.error.is_none() && run.status.is_some_and(|status| status < 400);
        Self {
            verdict: run.status.map_or("no answer".to_owned(), |status| format!("HTTP {status}")),
            tone: if good { "good" } else { "bad" },
            took: millis(run.duration_ms),
            error: run.error.clone(),
            when: Moment::at(run.at, now_ms),
            manual: run.manual,
        }
    }
}
