//! `GET /schedules`: what is called by the clock.

use api::method::ScheduleListMethod;
use api::schedule::{ScheduleInfo, ScheduleQuery, ScheduleRun};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::problem;
use crate::html::html;
use crate::shell::{Shell, Visit};
use crate::view::bars::Bars;
use crate::view::schedule::{CallView, ScheduleRow};
use crate::view::{self, Moment, now_ms};

/// The last calls of each that are shown; the server keeps as many.
const HISTORY: u32 = 50;
/// Those of them that are told in full.
const TOLD: usize = 10;

#[derive(Debug, Template)]
#[template(path = "schedules.html")]
struct Page {
    shell: Shell,
    summary: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    schedule: ScheduleRow,
    service: String,
    bars: Option<Bars>,
    calls: Vec<Call>,
    named: String,
}

/// A call, and how its answer began.
#[derive(Debug)]
struct Call {
    view: CallView,
    body: String,
}

impl Row {
    fn of(schedule: &ScheduleInfo, history: &[ScheduleRun], now_ms: u64) -> Self {
        let good = |run: &ScheduleRun| run.error.is_none() && run.status.is_some_and(|status| status < 400);
        let event = |run: &ScheduleRun| {
            let status = run.status.map_or("no answer".to_owned(), |status| format!("HTTP {status}"));
            let title =
                format!("{}: {status}, {}", Moment::at(run.at, run.at).exact, view::millis(run.duration_ms));
            (good(run), run.duration_ms, title)
        };
        let call = |run: &ScheduleRun| Call { view: CallView::of(run, now_ms), body: run.body_head.clone() };
        Self {
            schedule: ScheduleRow::of(schedule, now_ms),
            service: schedule.service.clone(),
            bars: Bars::of(history.iter().map(event).collect(), "calls"),
            calls: history.iter().rev().take(TOLD).map(call).collect(),
            named: json!({ "id": schedule.id }).to_string(),
        }
    }
}

pub(crate) async fn show(visit: Visit) -> Response {
    let wanted = ScheduleQuery { history: Some(HISTORY), ..ScheduleQuery::default() };
    let (shell, list) = tokio::join!(
        visit.shell("schedules", "schedules", "Schedules"),
        visit.ask::<ScheduleListMethod>(wanted),
    );
    let list = match list {
        Ok(list) => list,
        Err(failure) => return problem::failed(shell, &failure),
    };
    let now = now_ms();
    let history = |id: &str| list.history.get(id).map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Row> =
        list.schedules.iter().map(|schedule| Row::of(schedule, history(&schedule.id), now)).collect();
    let paused = list.schedules.iter().filter(|schedule| schedule.paused).count();
    let summary = match (rows.len() as u64, paused) {
        (0, _) => "None yet.".to_owned(),
        (all, 0) => format!("{}.", view::plural(all, "schedule")),
        (all, paused) => format!("{}, {paused} paused.", view::plural(all, "schedule")),
    };
    html(StatusCode::OK, &Page { shell, summary, rows })
}
