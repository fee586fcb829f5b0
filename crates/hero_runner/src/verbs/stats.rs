//! `hero_runner stats`.

use api::method::{NoParams, StatsMethod};
use api::stats::{MemoryStats, Stats};

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
    let zygote = match stats.zygote_pid {
        Some(pid) => {
            let size = stats.zygote_rss_kb.map(|size| format!(", {}", text::kib(size))).unwrap_or_default();
            format!("pid {pid}{size}, replaced {} times", stats.zygote_restarts)
        }
        None => format!("none right now, replaced {} times", stats.zygote_restarts),
    };
    let outcomes: Vec<String> =
        stats.outcomes.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let history = if stats.history_ok { "" } else { ", cannot be written: see the server's log" };
    let mut rows = vec![
        ("server", format!("pid {}, {}", stats.server_pid, text::kib(stats.server_rss_kb))),
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
    ];
    if stats.draining {
        rows.push(("drained", "new sessions are refused".to_owned()));
    }
    rows.extend(memory(&stats.memory));
    rows
}

/// What templates take of the memory: all together, then one a line.
fn memory(memory: &MemoryStats) -> impl Iterator<Item = (&'static str, String)> {
    let all = format!(
        "{} warm, {} of {}, {} let go for want of room",
        memory.templates.len(),
        text::kib(memory.templates_pss_kb),
        text::kib(memory.templates_budget_kb),
        memory.templates_evicted_total
    );
    let each = memory.templates.iter().map(|template| {
        let size = text::kib(template.pss_kb);
        ("template", format!("{}: pid {}, {size}", text::module(&template.name), template.pid))
    });
    std::iter::once(("templates", all)).chain(each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::stats::ProcessMemory;

    #[test]
    fn the_memory_of_templates_is_told_together_and_one_by_one() {
        let template = |name: &str, pid, pss_kb| ProcessMemory { name: name.into(), pid, pss_kb };
        let stats = MemoryStats {
            templates_budget_kb: 512 << 10,
            templates_pss_kb: 30 << 10,
            templates_evicted_total: 2,
            templates: vec![template("python", 7, 28 << 10), template("echo", 8, 2 << 10)],
            sessions: Vec::new(),
        };
        let rows: Vec<_> = memory(&stats).collect();
        let expected = [
            ("templates", "2 warm, 30.0 MiB of 512.0 MiB, 2 let go for want of room"),
            ("template", "python: pid 7, 28.0 MiB"),
            ("template", "echo: pid 8, 2.0 MiB"),
        ];
        assert_eq!(rows, expected.map(|(name, value)| (name, value.to_owned())));
    }
}
