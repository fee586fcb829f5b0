//! `GET /logs`: the logs of several sessions at once.

use api::SessionState;
use api::method::SessionListMethod;
use api::session::SessionList;
use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;

use super::problem;
use super::sessions::Row;
use crate::html::html;
use crate::shell::{Shell, Visit};
use crate::view::now_ms;

/// So many can be chosen from of those that run, and of all.
const OFFERED: u32 = 50;
/// The most that are followed at once; a browser holds few connections to one host.
const FOLLOWED: usize = 8;

#[derive(Debug, Template)]
#[template(path = "logs.html")]
struct Page {
    shell: Shell,
    chosen: Vec<String>,
    /// More were asked for than are shown.
    too_many: bool,
    /// The chosen ones for the script of the page.
    list: String,
    running: Vec<Row>,
    recent: Vec<Row>,
}

impl Page {
    fn is_chosen(&self, id: &str) -> bool {
        self.chosen.iter().any(|chosen| chosen == id)
    }
}

pub(crate) async fn show(visit: Visit, Query(fields): Query<Vec<(String, String)>>) -> Response {
    let mut chosen: Vec<String> = Vec::new();
    for (name, id) in fields {
        if name == "session" && !id.is_empty() && !chosen.contains(&id) {
            chosen.push(id);
        }
    }
    let too_many = chosen.len() > FOLLOWED;
    chosen.truncate(FOLLOWED);
    let running =
        SessionList { state: Some(SessionState::Running), limit: Some(OFFERED), ..SessionList::default() };
    let recent = SessionList { limit: Some(OFFERED), ..SessionList::default() };
    let (shell, running, recent) = tokio::join!(
        visit.shell("logs", "logs", "Logs"),
        visit.ask::<SessionListMethod>(running),
        visit.ask::<SessionListMethod>(recent),
    );
    let (running, recent) = match (running, recent) {
        (Ok(running), Ok(recent)) => (running.sessions, recent.sessions),
        (Err(failure), _) | (_, Err(failure)) => return problem::failed(shell, &failure),
    };
    let now = now_ms();
    let ended = recent.iter().filter(|session| session.state.is_final());
    let page = Page {
        shell: shell.still(),
        list: serde_json::to_string(&chosen).unwrap_or_default(),
        chosen,
        too_many,
        running: running.iter().map(|session| Row::of(session, now)).collect(),
        recent: ended.take(20).map(|session| Row::of(session, now)).collect(),
    };
    html(StatusCode::OK, &page)
}
