//! `GET /sessions`: the history, newest first.

use api::SessionState;
use api::method::{ModuleListMethod, NoParams, SessionListMethod};
use api::session::{SessionInfo, SessionList};
use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::problem;
use crate::html::html;
use crate::shell::{Shell, Visit};
use crate::view::{self, Mark, Moment, now_ms};

/// So many are on one page.
const PAGE: u32 = 50;

const STATES: [&str; 5] = ["pending", "running", "succeeded", "failed", "cancelled"];

/// What is in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    q: String,
    state: String,
    module: String,
    label: String,
    cursor: String,
}

impl Filter {
    fn is_set(&self) -> bool {
        [&self.q, &self.state, &self.module, &self.label].iter().any(|field| !field.is_empty())
    }

    fn state(&self) -> Option<SessionState> {
        serde_json::from_value(json!(self.state)).ok()
    }

    /// The address of the same filter from this cursor on.
    fn address(&self, cursor: &str) -> String {
        let fields = [
            ("q", self.q.as_str()),
            ("state", &self.state),
            ("module", &self.module),
            ("label", &self.label),
            ("cursor", cursor),
        ];
        view::address("/sessions", &fields)
    }
}

#[derive(Debug, Template)]
#[template(path = "sessions.html")]
struct Page {
    shell: Shell,
    filter: Filter,
    states: [&'static str; 5],
    modules: Vec<String>,
    rows: Vec<Row>,
    summary: String,
    cursor: Option<String>,
    newest: String,
    older: Option<String>,
}

/// A session in a list.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) short: String,
    pub(crate) mark: Mark,
    pub(crate) module: String,
    pub(crate) template: Option<String>,
    pub(crate) args: String,
    pub(crate) labels: Vec<String>,
    pub(crate) start: Option<(&'static str, &'static str)>,
    pub(crate) created: Moment,
    pub(crate) ran: String,
    /// When it started, while it runs.
    pub(crate) since: Option<u64>,
    pub(crate) cpu: String,
    pub(crate) memory: String,
    pub(crate) alive: bool,
    /// The parameters that stop it.
    pub(crate) stop: String,
}

impl Row {
    pub(crate) fn of(session: &SessionInfo, now_ms: u64) -> Self {
        let alive = !session.state.is_final();
        Self {
            id: session.session_id.clone(),
            short: view::short_id(&session.session_id),
            mark: view::standing(session),
            module: view::module(&session.module),
            template: session.template.clone().filter(|template| *template != session.module),
            args: view::command_line(&session.args),
            labels: session.labels.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            start: session.start.map(view::start),
            created: Moment::at(session.created_at, now_ms),
            ran: session.duration_ms.map(|ran| view::span(ran.micros)).unwrap_or_default(),
            since: session.started_at.filter(|_| alive),
            cpu: session.cpu_ms.map(view::millis).unwrap_or_default(),
            memory: session.max_rss_kb.map(view::kib).unwrap_or_default(),
            alive,
            stop: json!({ "session_id": session.session_id }).to_string(),
        }
    }
}

pub(crate) async fn show(visit: Visit, Query(filter): Query<Filter>) -> Response {
    let given = |field: &String| Some(field.trim().to_owned()).filter(|field| !field.is_empty());
    let wanted = SessionList {
        state: filter.state(),
        module: given(&filter.module),
        label: given(&filter.label),
        limit: Some(PAGE),
        cursor: given(&filter.cursor),
        search: given(&filter.q),
        usage: true,
    };
    let (shell, page, modules) = tokio::join!(
        visit.shell("sessions", "sessions", "Sessions"),
        visit.ask::<SessionListMethod>(wanted),
        visit.ask::<ModuleListMethod>(NoParams {}),
    );
    let page = match page {
        Ok(page) => page,
        Err(failure) => {
            return problem::failed_with_way(shell, &failure, Some(("/sessions", "All sessions")));
        }
    };
    let now = now_ms();
    let modules = modules.map(|list| list.modules).unwrap_or_default();
    let summary = shell.numbers.as_ref().map(|numbers| {
        let total = view::count(numbers.total);
        format!("{} running, {} queued, {total} since the server started.", numbers.running, numbers.queued)
    });
    let page = Page {
        states: STATES,
        modules: modules.into_iter().map(|module| module.name).collect(),
        rows: page.sessions.iter().map(|session| Row::of(session, now)).collect(),
        summary: summary.unwrap_or_default(),
        cursor: given(&filter.cursor),
        newest: filter.address(""),
        older: page.next.map(|next| filter.address(&next)),
        filter,
        shell,
    };
    html(StatusCode::OK, &page)
}
