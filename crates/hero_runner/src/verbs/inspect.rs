//! `hero_runner inspect`.

mod file;

use std::path::Path;

use api::method::{SessionGetMethod, SessionResultMethod};
use api::session::{EngineKind, RunMode, SessionInfo, SessionRef, SessionResult, StartKind};
use serde::Serialize;
use serde_json::json;

use super::session_id;
use crate::table::facts;
use crate::{Context, text};

/// Show everything about a session, or what a WebAssembly file says of itself: imports, exports, sizes, and which permissions
/// it would need.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The session's id or the beginning of it; or a file, which has a slash or an extension. No server is asked about a file
    #[arg(value_name = "ID|FILE")]
    what: String,
    /// How the result is printed, like --output
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Prints a result for programs; false when it is for people.
fn printed(context: &Context, format: Format, value: &impl Serialize) -> anyhow::Result<bool> {
    match format {
        Format::Text => return Ok(false),
        Format::Json => context.console.json(value)?,
        Format::Yaml => context.console.print(&serde_saphyr::to_string(value)?)?,
    }
    Ok(true)
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let format = args.format.unwrap_or(if context.console.json { Format::Json } else { Format::Text });
    if file::is_path(&args.what) {
        let found = file::read(Path::new(&args.what))?;
        if !printed(context, format, &found)? {
            file::print(context, &found)?;
        }
        return Ok(0);
    }
    let session_id = session_id(&args.what).map_err(anyhow::Error::msg)?;
    let session = context.client.call::<SessionGetMethod>(SessionRef { session_id }).await?;
    let reference = SessionRef { session_id: session.session_id.clone() };
    let result = context.client.call::<SessionResultMethod>(reference).await?;
    if !printed(context, format, &json!({ "session": session, "result": result }))? {
        let rows = rows(&session, result.as_ref());
        context.console.print(&facts(&context.console, &rows))?;
    }
    Ok(0)
}

fn rows(session: &SessionInfo, result: Option<&SessionResult>) -> Vec<(&'static str, String)> {
    let now = text::now_ms();
    let time = |ms: u64| format!("{} ({})", text::timestamp(ms), text::ago(ms, now));
    let mut rows = vec![
        ("id", session.session_id.clone()),
        ("module", session.module.clone()),
        ("digest", session.digest.clone()),
        ("state", text::state(session)),
    ];
    if let Some(template) = &session.template {
        rows.insert(2, ("template", template.clone()));
    }
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    add("outcome", session.outcome.as_ref().map(ToString::to_string));
    add("pid", session.child_pid.map(|pid| pid.to_string()));
    add("args", (!session.args.is_empty()).then(|| session.args.join(" ")));
    let labels: Vec<String> = session.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    add("labels", (!labels.is_empty()).then(|| labels.join(", ")));
    add("created", Some(time(session.created_at)));
    add("started", session.started_at.map(time));
    add("ended", session.ended_at.map(time));
    add("duration", session.duration_ms.map(|duration| text::span(duration.micros)));
    add("load", session.load_ms.map(|load| text::span(load.micros)));
    add("cpu", session.cpu_ms.map(|cpu| text::span(cpu.saturating_mul(1000))));
    add("memory", session.max_rss_kb.map(text::kib));
    add("start", session.start.map(|start| format!("{}, {}", text::start(start), came(session, start))));
    add(
        "code",
        session.mode.map(|mode| match mode {
            RunMode::Interpreted => "interpreted".to_owned(),
            RunMode::Compiled => "compiled".to_owned(),
        }),
    );
    add(
        "engine",
        session.engine.map(|engine| match engine {
            EngineKind::Wasmedge => "WasmEdge".to_owned(),
            EngineKind::Wasmtime => "Wasmtime".to_owned(),
        }),
    );
    for attempt in &session.attempts {
        add("attempt", Some(text::plain(&format!("{}: {}", attempt.module, attempt.outcome))));
    }
    add("value", session.value.as_ref().map(ToString::to_string));
    let limits = &session.limits;
    add("timeout", limits.timeout_ms.map(|limit| text::span(limit.saturating_mul(1000))));
    add("memory limit", limits.memory_limit_mb.map(|limit| text::bytes(u64::from(limit) << 20)));
    add("output limit", limits.output_limit_bytes.map(text::bytes));
    add("lines", Some(session.log_next_seq.to_string()));
    add("lines dropped", (session.log_dropped > 0).then(|| session.log_dropped.to_string()));
    if let Some(result) = result {
        let cut = if result.truncated { ", not all of it" } else { "" };
        let size = |stream: &str| format!("{}{cut}", text::bytes(stream.len() as u64));
        add("stdout", Some(size(&result.stdout)));
        add("stderr", Some(size(&result.stderr)));
    }
    rows
}

/// How its process came to be.
fn came(session: &SessionInfo, start: StartKind) -> &'static str {
    match start {
        StartKind::Warm => "forked from a template",
        StartKind::Parked => "a worker stood ready",
        StartKind::Cold if session.template.is_some() => "run from the beginning, without a warm template",
        StartKind::Cold => "a worker was forked for it",
    }
}
