//! `GET /sessions/{id}`: one session.

use api::method::{SessionGetMethod, SessionListMethod, SessionWaitMethod};
use api::session::{Attempt, SessionInfo, SessionList, SessionRef, SessionWait, WaitFor, Waited};
use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::problem;
use crate::html::html;
use crate::shell::{Shell, Visit};
use crate::view::{self, Mark, Moment, now_ms};

/// From one look at a session that has ended to the next, in milliseconds; only what stands beside it changes.
const ENDED_LIVE_MS: u32 = 10_000;

#[derive(Debug, Template)]
#[template(path = "session.html")]
struct Page {
    shell: Shell,
    id: String,
    mark: Mark,
    alive: bool,
    module: String,
    /// Its page, unless it was a file or a content.
    module_link: Option<String>,
    template: Option<String>,
    service: Option<String>,
    digest: String,
    args: Vec<String>,
    labels: Vec<String>,
    facts: Vec<Fact>,
    limits: Vec<Fact>,
    steps: Vec<Step>,
    attempts: Vec<AttemptRow>,
    value: Option<String>,
    next_seq: u64,
    lines: String,
    dropped: u64,
    stop: String,
    kill: String,
    command: String,
}

/// A name and what is known of it.
#[derive(Debug)]
struct Fact {
    name: &'static str,
    words: String,
    more: Option<&'static str>,
}

impl Fact {
    fn new(name: &'static str, words: Option<String>) -> Option<Self> {
        words.map(|words| Self { name, words, more: None })
    }
}

/// A point of its life.
#[derive(Debug)]
struct Step {
    what: &'static str,
    at: Moment,
    /// How long it took from the step before.
    took: Option<String>,
}

#[derive(Debug)]
struct AttemptRow {
    number: usize,
    module: String,
    mark: Mark,
    ended: Moment,
    ran: String,
}

impl AttemptRow {
    fn of(number: usize, attempt: &Attempt, session: &SessionInfo, now_ms: u64) -> Self {
        let limits = &session.limits;
        Self {
            number: number + 1,
            module: view::module(&attempt.module),
            mark: view::ended(&attempt.outcome, limits.timeout_ms, limits.memory_limit_mb),
            ended: Moment::at(attempt.ended_at, now_ms),
            ran: attempt
                .started_at
                .map(|started| view::millis(attempt.ended_at.saturating_sub(started)))
                .unwrap_or_default(),
        }
    }
}

pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let wanted = SessionRef { session_id: id.clone() };
    let (shell, session) = tokio::join!(
        visit.shell("session", "sessions", view::short_id(&id)),
        visit.ask::<SessionGetMethod>(wanted),
    );
    let mut session = match session {
        Ok(session) => session,
        Err(failure) => {
            return problem::failed_with_way(shell, &failure, Some(("/sessions", "All sessions")));
        }
    };
    let mut ready_us = None;
    if !session.state.is_final() {
        let (ready, used) = tokio::join!(ready_us_of(&visit, &id), usage(&visit, &id));
        ready_us = ready.filter(|_| session.ready);
        if let Some(used) = used {
            (session.cpu_ms, session.max_rss_kb) = (used.cpu_ms, used.max_rss_kb);
        }
    }
    let page = Page::of(shell, &session, ready_us, now_ms());
    html(StatusCode::OK, &page)
}

/// The session with what it has used so far, as only the list tells it.
async fn usage(visit: &Visit, id: &str) -> Option<SessionInfo> {
    let wanted =
        SessionList { search: Some(id.to_owned()), usage: true, limit: Some(1), ..SessionList::default() };
    let page = visit.ask::<SessionListMethod>(wanted).await.ok()?;
    page.sessions.into_iter().find(|session| session.session_id == id)
}

/// How long it took until it was ready, in microseconds, which is known while it runs; none where it had nothing to wait for.
async fn ready_us_of(visit: &Visit, id: &str) -> Option<u64> {
    let wanted = SessionWait { session_id: id.to_owned(), wait_ms: Some(0), what: WaitFor::Ready };
    match visit.ask::<SessionWaitMethod>(wanted).await {
        Ok(Some(Waited::Ready(ready))) => ready.ready_ms.map(|took| took.micros).filter(|took| *took > 0),
        _ => None,
    }
}

impl Page {
    fn of(shell: Shell, session: &SessionInfo, ready_us: Option<u64>, now_ms: u64) -> Self {
        let alive = !session.state.is_final();
        let live_ms = if alive { shell.live_ms } else { ENDED_LIVE_MS };
        let module = view::module(&session.module);
        let named = !session.module.starts_with("sha256:") && !session.module.contains('/');
        let id = session.session_id.clone();
        let args = view::command_line(&session.args);
        Self {
            shell: Shell { live_ms, title: format!("{module} {}", view::short_id(&id)), ..shell },
            mark: view::standing(session),
            alive,
            module_link: Some(&session.module)
                .filter(|_| named)
                .map(|name| format!("/modules/{}", view::segment(name))),
            module,
            template: session.template.clone(),
            service: session.labels.get("service").cloned(),
            digest: session.digest.clone(),
            args: session.args.clone(),
            labels: session.labels.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            facts: facts(session),
            limits: limits(session),
            steps: steps(session, ready_us, now_ms),
            attempts: (session.attempts.iter().enumerate())
                .map(|(number, attempt)| AttemptRow::of(number, attempt, session, now_ms))
                .collect(),
            value: session.value.as_ref().and_then(|value| serde_json::to_string_pretty(value).ok()),
            next_seq: session.log_next_seq,
            lines: view::plural(session.log_next_seq, "line"),
            dropped: session.log_dropped,
            stop: json!({ "session_id": id }).to_string(),
            kill: json!({ "session_id": id, "grace_ms": 0 }).to_string(),
            command: match session.template {
                Some(_) => format!("hero_runner logs -f {id}"),
                None => format!("hero_runner run {} {args}", session.module).trim_end().to_owned(),
            },
            id,
        }
    }
}

fn facts(session: &SessionInfo) -> Vec<Fact> {
    let start = session.start.map(|start| {
        let (word, more) = view::start(start);
        Fact { name: "Start", words: word.to_owned(), more: Some(more) }
    });
    [
        start,
        Fact::new("Engine", session.engine.map(|engine| view::engine(engine).to_owned())),
        Fact::new("Code", session.mode.map(|mode| view::mode(mode).to_owned())),
        Fact::new("Process", session.child_pid.map(|pid| format!("pid {pid}"))),
        Fact::new("CPU", session.cpu_ms.map(view::millis)),
        Fact::new("Memory", session.max_rss_kb.map(view::kib)),
        Fact::new("Page faults", session.minor_faults.map(view::count)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn limits(session: &SessionInfo) -> Vec<Fact> {
    let limits = &session.limits;
    [
        Fact::new("Time", limits.timeout_ms.map(view::limit)),
        Fact::new("Memory", limits.memory_limit_mb.map(|limit| format!("{limit} MiB"))),
        Fact::new("Process's memory", limits.memory_cgroup_mb.map(|limit| format!("{limit} MiB (cgroup)"))),
        Fact::new("Output kept", limits.output_limit_bytes.map(view::bytes)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn steps(session: &SessionInfo, ready_us: Option<u64>, now_ms: u64) -> Vec<Step> {
    let mut steps = vec![Step { what: "queued", at: Moment::at(session.created_at, now_ms), took: None }];
    if let Some(started) = session.started_at {
        let took = view::millis(started.saturating_sub(session.created_at));
        steps.push(Step { what: "started", at: Moment::at(started, now_ms), took: Some(took) });
        let inner = [("loaded", session.load_ms.map(|load| load.micros)), ("ready", ready_us)];
        for (what, after_us) in inner {
            if let Some(after_us) = after_us {
                let at = Moment::at(started + after_us / 1000, now_ms);
                steps.push(Step { what, at, took: Some(view::span(after_us)) });
            }
        }
    }
    if let Some(ended) = session.ended_at {
        let took = session.duration_ms.map(|ran| view::span(ran.micros));
        steps.push(Step { what: "ended", at: Moment::at(ended, now_ms), took });
    }
    steps
}
