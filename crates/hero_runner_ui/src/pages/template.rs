//! `GET /templates/{name}`: one template.

use api::method::{SessionListMethod, TemplateGetMethod};
use api::session::SessionList;
use api::template::TemplateRef;
use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use super::modules::TemplateRow;
use super::problem;
use super::sessions::Row;
use crate::html::html;
use crate::shell::{Shell, Visit};
use crate::view::{self, now_ms};

/// So many of its sessions are shown.
const SESSIONS: usize = 10;
/// The last ones of its module that are looked at to find them.
const LOOKED_AT: u32 = 100;

#[derive(Debug, Template)]
#[template(path = "template.html")]
struct Page {
    shell: Shell,
    row: TemplateRow,
    facts: Vec<(&'static str, String)>,
    digest: Option<String>,
    spec: String,
    sessions: Vec<Row>,
}

pub(crate) async fn show(visit: Visit, Path(name): Path<String>) -> Response {
    let of_it = SessionList {
        search: Some(name.clone()),
        limit: Some(LOOKED_AT),
        usage: true,
        ..SessionList::default()
    };
    let (shell, template, sessions) = tokio::join!(
        visit.shell("template", "modules", name.clone()),
        visit.ask::<TemplateGetMethod>(TemplateRef { name: name.clone() }),
        visit.ask::<SessionListMethod>(of_it),
    );
    let template = match template {
        Ok(template) => template,
        Err(failure) => {
            return problem::failed_with_way(
                shell,
                &failure,
                Some(("/modules?tab=templates", "All templates")),
            );
        }
    };
    let now = now_ms();
    let sessions = sessions.map(|page| page.sessions).unwrap_or_default();
    let mine = sessions.iter().filter(|session| session.template.as_deref() == Some(name.as_str()));
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    let spec = &template.spec;
    let facts = [
        ("Became warm in", template.warm_ms.map(view::millis)),
        ("Memory", template.pss_kb.map(view::kib)),
        ("Parked", Some(template.parked.to_string())),
        ("Running", Some(template.running.to_string())),
        ("Sessions", Some(view::count(template.sessions_total))),
        ("Process", template.pid.map(|pid| format!("pid {pid}"))),
        ("Failures in a row", (template.failures > 0).then(|| template.failures.to_string())),
        ("Memory limit", spec.memory_limit_mb.map(|limit| format!("{limit} MiB"))),
        ("Parked at least", number(spec.min_spare)),
        ("Parked at most", number(spec.max_spare)),
        (
            "Gone after",
            spec.ttl_s.map(|seconds| format!("{} without a session", view::limit(seconds * 1000))),
        ),
    ];
    let page = Page {
        shell,
        row: TemplateRow::of(&template),
        facts: facts.into_iter().filter_map(|(name, words)| Some((name, words?))).collect(),
        spec: serde_json::to_string_pretty(spec).unwrap_or_default(),
        sessions: mine.take(SESSIONS).map(|session| Row::of(session, now)).collect(),
        digest: template.digest,
    };
    html(StatusCode::OK, &page)
}
