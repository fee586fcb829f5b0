//! `GET /modules/{name}`: one module, and what it says of itself.

use api::inspection::{Inspection, Limits};
use api::method::{
    ModuleGetMethod, ModuleInspectMethod, NoParams, SessionListMethod, StatsMethod, TemplateListMethod,
};
use api::module::{ModuleDetail, ModuleRef};
use api::session::SessionList;
use api::stats::ModuleStats;
use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::problem;
use super::sessions::Row;
use super::stats::ModuleRow;
use crate::html::html;
use crate::server::Failure;
use crate::shell::{Shell, Visit};
use crate::view::{self, Mark, Moment, now_ms};

/// So many of its sessions are shown.
const SESSIONS: u32 = 10;

#[derive(Debug, Template)]
#[template(path = "module.html")]
struct Page {
    shell: Shell,
    name: String,
    kind: &'static str,
    size: String,
    digest: String,
    created: Moment,
    artifact: Mark,
    missing: Vec<String>,
    imports: Vec<[String; 2]>,
    exports: Vec<[String; 2]>,
    templates: Vec<String>,
    sessions: Vec<Row>,
    stats: Option<ModuleRow>,
    report: Result<Report, String>,
    named: String,
    /// The parameters that make a template of it.
    warmed: String,
}

/// What the file says of itself.
#[derive(Debug)]
struct Report {
    facts: Vec<(&'static str, String)>,
    needs: Vec<(String, String)>,
    producers: Vec<(String, String)>,
    sections: Vec<(String, String)>,
    features: Vec<String>,
    wit: Option<String>,
}

impl Report {
    fn of(said: Inspection) -> Self {
        let pages = |limits: &Limits| {
            let size = |pages: u64| view::bytes(pages.saturating_mul(64 << 10));
            limits.max.map_or(size(limits.min), |max| format!("{} to {}", size(limits.min), size(max)))
        };
        let elements = |limits: &Limits| {
            limits.max.map_or(format!("{}", limits.min), |max| format!("{} to {max}", limits.min))
        };
        let list = |limits: &[Limits], words: &dyn Fn(&Limits) -> String| {
            Some(limits.iter().map(words).collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
        };
        let inner = |count: u32| (count > 0).then(|| count.to_string());
        let facts = [
            ("Made for", Some(said.worlds.join(", ")).filter(|text| !text.is_empty())),
            ("WASI", Some(said.wasi)),
            ("Functions", Some(view::count(said.functions))),
            ("Code", Some(view::bytes(said.code_bytes))),
            ("Data", Some(view::bytes(said.data_bytes))),
            ("Memory", list(&said.memories, &pages)),
            ("Tables", list(&said.tables, &elements)),
            ("Modules inside", inner(said.modules)),
            ("Components inside", inner(said.components)),
            ("Start function", said.start.map(|number| number.to_string())),
        ];
        Self {
            facts: facts.into_iter().filter_map(|(name, words)| Some((name, words?))).collect(),
            needs: said
                .permissions
                .into_iter()
                .map(|need| (need.permission, need.imports.join(", ")))
                .collect(),
            producers: said.producers.into_iter().map(|(what, who)| (what, who.join(", "))).collect(),
            sections: (said.custom_sections.into_iter())
                .map(|section| (section.name, view::bytes(section.bytes)))
                .collect(),
            features: said.target_features,
            wit: said.wit,
        }
    }
}

pub(crate) async fn show(visit: Visit, Path(name): Path<String>) -> Response {
    let wanted = ModuleRef { name: name.clone() };
    let of_it = SessionList {
        module: Some(name.clone()),
        limit: Some(SESSIONS),
        usage: true,
        ..SessionList::default()
    };
    let (shell, detail, report, templates, sessions, stats) = tokio::join!(
        visit.shell("module", "modules", view::module(&name)),
        visit.ask::<ModuleGetMethod>(wanted.clone()),
        visit.ask::<ModuleInspectMethod>(wanted),
        visit.ask::<TemplateListMethod>(NoParams {}),
        visit.ask::<SessionListMethod>(of_it),
        visit.ask::<StatsMethod>(NoParams {}),
    );
    let detail = match detail {
        Ok(detail) => detail,
        Err(failure) => {
            return problem::failed_with_way(shell, &failure, Some(("/modules", "All modules")));
        }
    };
    let now = now_ms();
    let templates = templates.map(|list| list.templates).unwrap_or_default().into_iter();
    let of_it = |spec: &str| spec == detail.info.name || spec == detail.info.digest;
    let templates =
        templates.filter(|template| of_it(&template.spec.module)).map(|template| template.name).collect();
    let sessions = sessions.map(|page| page.sessions).unwrap_or_default();
    let sessions = sessions.iter().map(|session| Row::of(session, now)).collect();
    let stats = stats.map(|stats| stats.modules).unwrap_or_default();
    let stats = stats.iter().find(|row: &&ModuleStats| row.module == name).map(ModuleRow::of);
    let ModuleDetail { info, imports, exports, missing } = detail;
    let page = Page {
        shell,
        kind: view::module_kind(info.kind),
        size: view::bytes(info.size),
        created: Moment::at(info.created_at, now),
        artifact: view::artifact(&info.artifact),
        missing,
        imports: imports
            .into_iter()
            .map(|import| [format!("{} {}", import.module, import.name), import.ty])
            .collect(),
        exports: exports.into_iter().map(|export| [export.name, export.ty]).collect(),
        templates,
        sessions,
        stats,
        report: report.map(Report::of).map_err(|failure: Failure| failure.reason),
        named: json!({ "name": info.name }).to_string(),
        warmed: json!({ "module": info.name }).to_string(),
        digest: info.digest,
        name: view::module(&info.name),
    };
    html(StatusCode::OK, &page)
}
