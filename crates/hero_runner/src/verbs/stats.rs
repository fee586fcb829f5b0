//! `hero_runner stats`.

use api::method::{NoParams, StatsMethod};
use api::stats::Stats;

use crate::table::facts;
use crate::{Context, text};

pub(crate) async fn run(context: &Context) -> anyhow::Result<u8> {
    let stats = context.client.call::<StatsMethod>(NoParams {}).await?;
    if context.console.json {
        context.console.json(&stats)?;
    } else {
        context.console.print(&facts(&context.console, &rows(&stats)))?;
    }
    Ok(0)
}

fn rows(stats: &Stats) -> Vec<(&'static str, String)> {
    let kib = |size: u64| text::bytes(size.saturating_mul(1024));
    let zygote = match stats.zygote_pid {
        Some(pid) => {
            let size = stats.zygote_rss_kb.map(|size| format!(", {}", kib(size))).unwrap_or_default();
            format!("pid {pid}{size}, replaced {} times", stats.zygote_restarts)
        }
        None => format!("none right now, replaced {} times", stats.zygote_restarts),
    };
    let outcomes: Vec<String> =
        stats.outcomes.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let history = if stats.history_ok { "" } else { ", cannot be written: see the server's log" };
    vec![
        ("server", format!("pid {}, {}", stats.server_pid, kib(stats.server_rss_kb))),
        ("up", text::span(stats.uptime_ms.saturating_mul(1000))),
        ("engine", stats.engine.clone()),
        ("zygote", zygote),
        ("running", format!("{} of {}", stats.running, stats.max_sessions)),
        ("queued", format!("{} of {}", stats.queued, stats.max_queue)),
        ("parked", stats.parked.to_string()),
        ("accepted", stats.sessions_total.to_string()),
        ("rejected", stats.rejected_total.to_string()),
        ("outcomes", if outcomes.is_empty() { "-".to_owned() } else { outcomes.join(", ") }),
        (
            "log",
            format!(
                "{} lines, {}, {} lines dropped",
                stats.log_lines_total,
                text::bytes(stats.log_bytes_total),
                stats.log_dropped_total
            ),
        ),
        ("history", format!("{}{history}", text::bytes(stats.history_bytes))),
    ]
}
