//! `hero_runner --status`. The exit codes are those of the Linux Standard Base for init scripts.

use api::method::{NoParams, StatsMethod};
use serde_json::{Value, json};

use super::{ANSWER, Probe, gateway, probe, programs, ui};
use crate::{Context, text};

const RUNNING: u8 = 0;
const DEAD_BUT_LEFT_TRACES: u8 = 1;
const NOT_RUNNING: u8 = 3;
const UNKNOWN: u8 = 4;

pub(crate) async fn run(context: &Context) -> anyhow::Result<u8> {
    let socket = context.client.socket();
    let health = match probe(&context.client).await {
        Probe::Answers(health) => health,
        Probe::Missing => return not_running(context, NOT_RUNNING, "not running").await,
        Probe::Stale => {
            let text = format!("not running; its socket {} is left over", socket.display());
            return not_running(context, DEAD_BUT_LEFT_TRACES, &text).await;
        }
        Probe::Silent(why) => {
            let text = format!("something listens on {} and does not answer: {why}", socket.display());
            return not_running(context, UNKNOWN, &text).await;
        }
    };
    // Health alone is the question; these are only told where they can be had.
    let call = context.client.call::<StatsMethod>(NoParams {});
    let stats = tokio::time::timeout(ANSWER, call).await.ok().and_then(Result::ok);
    if context.console.json {
        context.console.json(&json!({
            "running": true, "status": health.status, "reasons": health.reasons, "version": health.version,
            "socket": socket, "stats": stats, "gateway": gateway(&context.client).await, "ui": pages(context).await.json,
        }))?;
        return Ok(RUNNING);
    }
    let mut line = format!("{} {} runs on {}", programs::SERVER, health.version, socket.display());
    if let Some(stats) = stats {
        let up = text::span(stats.uptime_ms.saturating_mul(1000));
        line += &format!(
            " (pid {}, up {up}, {} running, {} queued)",
            stats.server_pid, stats.running, stats.queued
        );
    }
    for reason in &health.reasons {
        line += &format!("\n{}: {reason}", health.status);
    }
    line += &format!("\n{}", pages(context).await.line);
    if let Some(gateway) = gateway(&context.client).await {
        line += &format!("\ngateway: {gateway}/");
    }
    context.console.say(&line)?;
    Ok(RUNNING)
}

async fn not_running(context: &Context, code: u8, text: &str) -> anyhow::Result<u8> {
    let pages = pages(context).await;
    if context.console.json {
        let socket = context.client.socket();
        let told = json!({ "running": false, "status": text, "socket": socket, "ui": pages.json });
        context.console.json(&told)?;
    } else {
        context.console.say(&format!("{}: {text}\n{}", programs::SERVER, pages.line))?;
    }
    Ok(code)
}

/// What there is to tell of the pages.
struct Pages {
    line: String,
    json: Value,
}

async fn pages(context: &Context) -> Pages {
    let client = ui::client(context);
    let (name, socket) = (programs::UI, client.socket());
    let text = match ui::look(&client).await {
        Probe::Answers(health) => {
            let pid = client.peer().await.ok().and_then(|peer| peer.pid);
            let shown = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            let url = ui::url(&client);
            let address = url.as_deref().map(ui::address);
            let dashboard = address.map(|address| {
                format!("\ndashboard: {address} (`hero_runner ui` prints its URL with the token)")
            });
            let line = format!("{name} {} runs on {}{shown}", health.version, socket.display());
            return Pages {
                line: line + &dashboard.unwrap_or_default(),
                json: json!({
                    "running": true, "version": health.version, "socket": socket, "pid": pid, "address": address,
                }),
            };
        }
        Probe::Missing => "not running".to_owned(),
        Probe::Stale => format!("not running; its socket {} is left over", socket.display()),
        Probe::Silent(why) => format!("{} does not answer: {why}", socket.display()),
    };
    let json = json!({ "running": false, "status": text, "socket": socket });
    Pages { line: format!("{name}: {text}"), json }
}
