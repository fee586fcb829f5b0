//! `hero_runner --status`. The exit codes are those of the Linux Standard Base for init scripts.

use api::method::{NoParams, StatsMethod};
use serde_json::json;

use super::{ANSWER, Probe, probe, programs};
use crate::{Context, text};

const RUNNING: u8 = 0;
const DEAD_BUT_LEFT_TRACES: u8 = 1;
const NOT_RUNNING: u8 = 3;
const UNKNOWN: u8 = 4;

pub(crate) async fn run(context: &Context) -> anyhow::Result<u8> {
    let socket = context.client.socket();
    let health = match probe(&context.client).await {
        Probe::Answers(health) => health,
        Probe::Missing => return not_running(context, NOT_RUNNING, "not running"),
        Probe::Stale => {
            let text = format!("not running; its socket {} is left over", socket.display());
            return not_running(context, DEAD_BUT_LEFT_TRACES, &text);
        }
        Probe::Silent(why) => {
            let text = format!("something listens on {} and does not answer: {why}", socket.display());
            return not_running(context, UNKNOWN, &text);
        }
    };
    // Health alone is the question; these are only told where they can be had.
    let call = context.client.call::<StatsMethod>(NoParams {});
    let stats = tokio::time::timeout(ANSWER, call).await.ok().and_then(Result::ok);
    if context.console.json {
        context.console.json(&json!({
            "running": true, "status": health.status, "reasons": health.reasons, "version": health.version,
            "socket": socket, "stats": stats,
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
    context.console.say(&line)?;
    Ok(RUNNING)
}

fn not_running(context: &Context, code: u8, text: &str) -> anyhow::Result<u8> {
    if context.console.json {
        let socket = context.client.socket();
        context.console.json(&json!({ "running": false, "status": text, "socket": socket }))?;
    } else {
        context.console.say(&format!("{}: {text}", programs::SERVER))?;
    }
    Ok(code)
}
