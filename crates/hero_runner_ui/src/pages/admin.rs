//! `GET /admin`: how the server is set, and how it is governed.

use api::admin::{LogLevel, Setting, SettingSource};
use api::method::{LogLevelMethod, NoParams, ServerSettingsMethod, ServiceListMethod, StatsMethod};
use api::stats::{Health, Stats};
use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::problem;
use crate::app::App;
use crate::html::html;
use crate::server::{self, Failure};
use crate::shell::{Shell, Visit};
use crate::view;

/// What the log can be set to with one click.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    q: String,
    set: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "admin.html")]
struct Page {
    shell: Shell,
    q: String,
    only_set: bool,
    settings: Result<Vec<Row>, String>,
    all: usize,
    config_file: Option<String>,
    level: Result<String, String>,
    levels: [&'static str; 6],
    draining: bool,
    running: u64,
    queued: u64,
    facts: Vec<(&'static str, String)>,
    reasons: Vec<String>,
}

#[derive(Debug)]
struct Row {
    key: String,
    value: String,
    source: &'static str,
    tone: &'static str,
    origin: Option<String>,
    description: String,
}

impl Row {
    fn of(setting: &Setting) -> Self {
        Self {
            key: setting.key.clone(),
            value: match &setting.value {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            },
            source: setting.source.name(),
            tone: if setting.source == SettingSource::Default { "quiet" } else { "busy" },
            origin: setting.origin.clone(),
            description: setting.description.clone(),
        }
    }

    fn fits(&self, q: &str) -> bool {
        [&self.key, &self.value, &self.description].iter().any(|field| field.to_lowercase().contains(q))
    }
}

pub(crate) async fn show(visit: Visit, Query(filter): Query<Filter>) -> Response {
    let (shell, stats, settings, level, health, services) = tokio::join!(
        visit.shell("admin", "admin", "Admin"),
        visit.ask::<StatsMethod>(NoParams {}),
        visit.ask::<ServerSettingsMethod>(NoParams {}),
        visit.ask::<LogLevelMethod>(LogLevel::default()),
        server::health(&visit.app.server),
        visit.ask::<ServiceListMethod>(NoParams {}),
    );
    let stats = match stats {
        Ok(stats) => stats,
        Err(failure) => return problem::failed(shell, &failure),
    };
    let (config_file, settings) = match settings {
        Ok(said) => (said.config_file, Ok(said.settings)),
        Err(failure) => (None, Err(failure.reason)),
    };
    let all = settings.as_ref().map(Vec::len).unwrap_or_default();
    let q = filter.q.trim().to_lowercase();
    let only_set = filter.set.is_some();
    let wanted = |row: &Row| row.fits(&q) && (!only_set || row.source != SettingSource::Default.name());
    let rows = |list: Vec<Setting>| list.iter().map(Row::of).filter(wanted).collect::<Vec<_>>();
    let gateway = services.ok().and_then(|list| list.gateway);
    let page = Page {
        shell: Shell { live_ms: 5000, ..shell },
        settings: settings.map(rows),
        q: filter.q,
        only_set,
        all,
        config_file,
        level: level.map(|set| set.level).map_err(|failure: Failure| failure.reason),
        levels: LEVELS,
        draining: stats.draining,
        running: stats.running,
        queued: stats.queued,
        facts: facts(&stats, health.as_ref().ok(), gateway, &visit.app),
        reasons: health.map(|health| health.reasons).unwrap_or_default(),
    };
    html(StatusCode::OK, &page)
}

fn facts(
    stats: &Stats,
    health: Option<&Health>,
    gateway: Option<String>,
    app: &App,
) -> Vec<(&'static str, String)> {
    let zygote = stats.zygote_pid.map_or("none".to_owned(), |pid| format!("pid {pid}"));
    let replaced = match stats.zygote_restarts {
        0 => "never lost".to_owned(),
        lost => format!("lost and replaced {lost} times"),
    };
    let size = stats.zygote_rss_kb.map(|size| format!(", {}", view::kib(size))).unwrap_or_default();
    let history = if stats.history_ok { "takes lines" } else { "takes nothing: its disk is full or broken" };
    let known = [
        ("Version", health.map(|health| health.version.clone())),
        ("Server", Some(format!("pid {}, {}", stats.server_pid, view::kib(stats.server_rss_kb)))),
        ("Up for", Some(view::millis(stats.uptime_ms))),
        ("Zygote", Some(format!("{zygote}{size}, {replaced}"))),
        ("Engine", Some(stats.engine.clone())),
        ("History", Some(format!("{} on disk, {history}", view::bytes(stats.history_bytes)))),
        ("Socket", Some(app.server.socket().display().to_string())),
        ("Gateway", Some(gateway.unwrap_or_else(|| "off".to_owned()))),
        ("Dashboard", Some(app.address.clone().unwrap_or_else(|| "on ui.sock only".to_owned()))),
        ("Its version", Some(api::VERSION.to_owned())),
    ];
    known.into_iter().filter_map(|(name, words)| Some((name, words?))).collect()
}
