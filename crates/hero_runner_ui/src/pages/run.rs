//! `GET /run`: a module, a template or a script, and what it is given.

use std::collections::BTreeMap;

use api::method::{ModuleListMethod, NoParams, SessionGetMethod, TemplateListMethod};
use api::session::{SessionInfo, SessionRef};
use api::template::{ScriptPass, TemplateInfo};
use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::problem;
use crate::html::html;
use crate::shell::{Shell, Visit};
use crate::view;

/// What is in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wish {
    module: Option<String>,
    template: Option<String>,
    runtime: Option<String>,
    again: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "run.html")]
struct Page {
    shell: Shell,
    modules: Vec<String>,
    templates: Vec<String>,
    runtimes: Vec<Runtime>,
    filled: Filled,
    /// The session that is run once more.
    again: Option<String>,
    /// What there is to choose from, for the script of the page.
    boot: String,
}

/// A runtime for scripts.
#[derive(Debug, Clone, Serialize)]
struct Runtime {
    name: String,
    extensions: Vec<String>,
    /// Whether a script has arguments, an environment and a standard input of its own.
    has_arguments: bool,
}

impl Runtime {
    fn of(template: &TemplateInfo) -> Option<Self> {
        let script = template.spec.script.as_ref()?;
        let has_arguments = script.pass == ScriptPass::Envelope;
        Some(Self { name: template.name.clone(), extensions: script.extensions.clone(), has_arguments })
    }
}

/// What the form begins with.
#[derive(Debug, Default, Serialize)]
struct Filled {
    what: &'static str,
    module: String,
    template: String,
    runtime: String,
    /// One a line.
    args: String,
    labels: String,
    timeout_ms: Option<u64>,
    memory_limit_mb: Option<u32>,
}

impl Filled {
    fn again(session: &SessionInfo, runtimes: &[Runtime]) -> Self {
        let template = session.template.clone().unwrap_or_default();
        let what = match session.template {
            None => "module",
            Some(_) if runtimes.iter().any(|runtime| runtime.name == template) => "script",
            Some(_) => "template",
        };
        Self {
            what,
            module: if what == "module" { session.module.clone() } else { String::new() },
            runtime: if what == "script" { template.clone() } else { String::new() },
            template: if what == "template" { template } else { String::new() },
            args: session.args.join("\n"),
            labels: lines(&session.labels),
            timeout_ms: session.limits.timeout_ms,
            memory_limit_mb: session.limits.memory_limit_mb,
        }
    }

    fn wished(wish: &Wish, modules: &[String]) -> Self {
        let given = |field: &Option<String>| field.clone().unwrap_or_default();
        let what = match wish {
            Wish { runtime: Some(_), .. } => "script",
            Wish { template: Some(_), .. } => "template",
            _ => "module",
        };
        let first = || modules.iter().find(|name| *name == "hello").or(modules.first()).cloned();
        let module = wish.module.clone().or_else(first).unwrap_or_default();
        Self {
            what,
            module,
            template: given(&wish.template),
            runtime: given(&wish.runtime),
            ..Self::default()
        }
    }
}

fn lines(pairs: &BTreeMap<String, String>) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
}

pub(crate) async fn show(visit: Visit, Query(wish): Query<Wish>) -> Response {
    let again = async {
        let id = wish.again.clone().filter(|id| !id.is_empty())?;
        Some(visit.ask::<SessionGetMethod>(SessionRef { session_id: id }).await)
    };
    let (shell, modules, templates, again) = tokio::join!(
        visit.shell("run", "run", "Run"),
        visit.ask::<ModuleListMethod>(NoParams {}),
        visit.ask::<TemplateListMethod>(NoParams {}),
        again,
    );
    let (modules, templates) = match (modules, templates) {
        (Ok(modules), Ok(templates)) => (modules.modules, templates.templates),
        (Err(failure), _) | (_, Err(failure)) => return problem::failed(shell, &failure),
    };
    let again = match again {
        Some(Err(failure)) => {
            return problem::failed_with_way(shell, &failure, Some(("/run", "Run something else")));
        }
        Some(Ok(session)) => Some(session),
        None => None,
    };
    let modules: Vec<String> = modules.into_iter().map(|module| module.name).collect();
    let runtimes: Vec<Runtime> = templates.iter().filter_map(Runtime::of).collect();
    let filled = match &again {
        Some(session) => Filled::again(session, &runtimes),
        None => Filled::wished(&wish, &modules),
    };
    let templates = templates.into_iter().filter(|template| template.spec.script.is_none());
    let templates: Vec<String> = templates.map(|template| template.name).collect();
    let boot = view::json(&serde_json::json!({
        "modules": modules, "templates": templates, "runtimes": runtimes, "filled": filled,
    }));
    let again = again.map(|session| session.session_id);
    let page = Page { shell: shell.still(), modules, templates, runtimes, filled, again, boot };
    html(StatusCode::OK, &page)
}
