//! The pages, from templates.

use std::path::PathBuf;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::html::html;
use crate::server::{Failure, Kind, Overview};
use crate::view::Moment;
use crate::view::schedule::ScheduleRow;
use crate::view::service::{ProblemRow, ServiceRow, summary};

/// From one refresh of the panel to the next, in seconds.
const REFRESH_SECONDS: u32 = 5;

/// Whether the panel refreshes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// It does.
    On,
    /// It was told not to.
    Held,
    /// It must not, for it would send a form again or take away what went wrong.
    Off,
}

/// What went wrong, above the panel.
#[derive(Debug)]
pub(crate) struct Alert {
    pub(crate) title: String,
    pub(crate) reason: String,
    pub(crate) hint: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "panel/panel.html")]
struct PanelPage {
    refresh: Refresh,
    seconds: u32,
    now: Moment,
    alert: Option<Alert>,
    gateway: Option<String>,
    /// Where the dashboard is, which can do more.
    dashboard: Option<String>,
    summary: String,
    services: Vec<ServiceRow>,
    problems: Vec<ProblemRow>,
    schedules: Vec<ScheduleRow>,
    services_dir: String,
    version: &'static str,
}

#[derive(Debug, Template)]
#[template(path = "panel/message.html")]
struct MessagePage<'a> {
    title: &'a str,
    text: &'a str,
    hint: Option<&'a str>,
    command: Option<&'a str>,
    link: &'a str,
}

/// The panel.
pub(crate) fn panel(
    status: StatusCode,
    app: &App,
    overview: &Overview,
    alert: Option<Alert>,
    refresh: Refresh,
    now_ms: u64,
) -> Response {
    let list = &overview.services;
    let page = PanelPage {
        refresh,
        seconds: REFRESH_SECONDS,
        now: Moment::at(now_ms, now_ms),
        alert,
        gateway: list.gateway.clone(),
        dashboard: app.address.clone(),
        summary: summary(&list.services),
        services: list.services.iter().map(|service| ServiceRow::of(service, now_ms)).collect(),
        problems: list.problems.iter().map(ProblemRow::of).collect(),
        schedules: overview.schedules.iter().map(|schedule| ScheduleRow::of(schedule, now_ms)).collect(),
        services_dir: services_dir(),
        version: api::VERSION,
    };
    html(status, &page)
}

/// Where services lie unless the server's settings say otherwise.
fn services_dir() -> String {
    use api::paths::{process_env, state_dir};
    let folder = process_env("HERO_RUNNER_SERVICES_DIR").map(PathBuf::from);
    folder.unwrap_or_else(|| state_dir(&process_env).join("services")).display().to_string()
}

/// The page instead of the panel, when there is nothing that it could show.
pub(crate) fn no_panel(failure: &Failure) -> Response {
    let (title, command) = match failure.kind {
        Kind::Down => ("The server does not run", Some("hero_runner --start")),
        Kind::Silent => ("The server does not answer", None),
        Kind::Refused | Kind::Older => ("The server refused", None),
    };
    // The command is the hint.
    let hint = failure.hint.as_deref().filter(|_| command.is_none());
    html(failure.status, &MessagePage { title, text: &failure.reason, hint, command, link: "Try again" })
}

/// A page that says one thing.
pub(crate) fn message(status: StatusCode, title: &str, text: &str, hint: Option<&str>) -> Response {
    html(status, &MessagePage { title, text, hint, command: None, link: "To the panel" })
}
