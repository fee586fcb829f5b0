//! `GET /modules`: modules, and the templates that keep them warm.

use std::collections::BTreeMap;

use api::method::{ModuleListMethod, NoParams, TemplateListMethod};
use api::module::ModuleInfo;
use api::template::{TemplateInfo, TemplateOrigin, TemplateState};
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

/// What is in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Choice {
    tab: String,
}

#[derive(Debug, Template)]
#[template(path = "modules.html")]
struct Page {
    shell: Shell,
    templates_shown: bool,
    modules: Vec<ModuleRow>,
    templates: Vec<TemplateRow>,
    summary: String,
}

#[derive(Debug)]
struct ModuleRow {
    name: String,
    kind: &'static str,
    size: String,
    created: Moment,
    artifact: Mark,
    digest: String,
    /// The template of its name.
    warm: Option<Mark>,
    named: String,
}

/// A template in a list.
#[derive(Debug)]
pub(crate) struct TemplateRow {
    pub(crate) name: String,
    pub(crate) module: String,
    pub(crate) origin: &'static str,
    pub(crate) state: Mark,
    pub(crate) retry: Option<String>,
    pub(crate) warmth: String,
    pub(crate) is_runtime: bool,
    pub(crate) parked: u64,
    pub(crate) running: u64,
    pub(crate) total: String,
    pub(crate) memory: String,
    pub(crate) removable: bool,
    pub(crate) named: String,
}

impl TemplateRow {
    pub(crate) fn of(template: &TemplateInfo) -> Self {
        Self {
            name: template.name.clone(),
            module: view::module(&template.spec.module),
            origin: match template.origin {
                TemplateOrigin::Created => "asked for",
                TemplateOrigin::File => "from the templates' file",
                TemplateOrigin::Builtin => "comes with the server",
                TemplateOrigin::Automatic => "made by the server, for it is used often",
            },
            state: state(template),
            retry: template.retry_in_ms.map(view::millis),
            warmth: template.spec.warm.to_string(),
            is_runtime: template.spec.script.is_some(),
            parked: template.parked,
            running: template.running,
            total: view::count(template.sessions_total),
            memory: template.pss_kb.map(view::kib).unwrap_or_default(),
            removable: template.origin == TemplateOrigin::Created,
            named: json!({ "name": template.name }).to_string(),
        }
    }
}

fn state(template: &TemplateInfo) -> Mark {
    let (words, tone) = match template.state {
        TemplateState::Warming => ("warming", "busy"),
        TemplateState::Warm => ("warm", "good"),
        TemplateState::Idle => ("idle, the next session starts it", "quiet"),
        TemplateState::Failed => ("failed", "bad"),
    };
    Mark { why: template.why.clone(), ..Mark::new(words, tone) }
}

fn summary(modules: &[ModuleInfo], templates: &[TemplateInfo]) -> String {
    let counts = format!(
        "{}, {}",
        view::plural(modules.len() as u64, "module"),
        view::plural(templates.len() as u64, "template")
    );
    match templates.iter().filter_map(|template| template.pss_kb).sum() {
        0 => format!("{counts}."),
        shared => format!("{counts} in {} of memory.", view::kib(shared)),
    }
}

pub(crate) async fn show(visit: Visit, Query(choice): Query<Choice>) -> Response {
    let (shell, modules, templates) = tokio::join!(
        visit.shell("modules", "modules", "Modules"),
        visit.ask::<ModuleListMethod>(NoParams {}),
        visit.ask::<TemplateListMethod>(NoParams {}),
    );
    let (modules, templates) = match (modules, templates) {
        (Ok(modules), Ok(templates)) => (modules.modules, templates.templates),
        (Err(failure), _) | (_, Err(failure)) => return problem::failed(shell, &failure),
    };
    let by_name: BTreeMap<&str, &TemplateInfo> =
        templates.iter().map(|template| (template.name.as_str(), template)).collect();
    let now = now_ms();
    let row = |module: &ModuleInfo| ModuleRow {
        name: module.name.clone(),
        kind: view::module_kind(module.kind),
        size: view::bytes(module.size),
        created: Moment::at(module.created_at, now),
        artifact: view::artifact(&module.artifact),
        digest: module.digest.clone(),
        warm: by_name.get(module.name.as_str()).map(|template| state(template)),
        named: json!({ "name": module.name }).to_string(),
    };
    let page = Page {
        templates_shown: choice.tab == "templates",
        modules: modules.iter().map(row).collect(),
        summary: summary(&modules, &templates),
        templates: templates.iter().map(TemplateRow::of).collect(),
        shell,
    };
    html(StatusCode::OK, &page)
}
