//! `GET /metrics`: the numbers of `stats` in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use api::stats::{DURATIONS_MS, ModuleStats, Stats};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::core::Core;
use crate::routes::Shared;

/// The handler.
pub async fn show<C: Core>(State(shared): State<Shared<C>>) -> Response {
    let text = text(&shared.core.stats().await, shared.started);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// The text. No label ever holds the id of a session: their number would grow without end.
#[must_use]
pub fn text(stats: &Stats, started: f64) -> String {
    let mut page = Page { text: String::with_capacity(4096) };
    modules(&mut page, &stats.modules);
    page.one("hero_runner_sessions_accepted_total", "counter", "Sessions accepted.", stats.sessions_total);
    page.one(
        "hero_runner_sessions_rejected_total",
        "counter",
        "Sessions refused because the queue was full.",
        stats.rejected_total,
    );
    page.one("hero_runner_sessions_running", "gauge", "Sessions that run.", stats.running);
    page.one("hero_runner_sessions_queued", "gauge", "Sessions that wait for a worker.", stats.queued);
    page.one("hero_runner_pool_idle_workers", "gauge", "Workers that stand ready.", stats.parked);
    page.one("hero_runner_log_lines_total", "counter", "Log lines read.", stats.log_lines_total);
    page.one("hero_runner_log_bytes_total", "counter", "Bytes of log lines read.", stats.log_bytes_total);
    page.one(
        "hero_runner_log_lines_dropped_total",
        "counter",
        "Log lines dropped by output limits, by retention or for want of disk.",
        stats.log_dropped_total,
    );
    page.one("hero_runner_history_bytes", "gauge", "Bytes of the history on disk.", stats.history_bytes);
    page.one(
        "hero_runner_history_ok",
        "gauge",
        "1 while the history takes what is written.",
        u8::from(stats.history_ok),
    );
    page.one(
        "hero_runner_zygote_restarts_total",
        "counter",
        "How often a lost zygote was replaced.",
        stats.zygote_restarts,
    );
    page.head("hero_runner_services", "gauge", "Services, by state.");
    for (state, count) in &stats.services {
        let _ = writeln!(page.text, "hero_runner_services{{state=\"{}\"}} {count}", label(state));
    }
    let gateway = &stats.gateway;
    page.one(
        "hero_runner_gateway_connections",
        "gauge",
        "Connections of clients that are open.",
        gateway.connections,
    );
    page.one(
        "hero_runner_gateway_connections_refused_total",
        "counter",
        "Connections turned away because too many were open.",
        gateway.connections_refused_total,
    );
    page.head("hero_runner_gateway_responses_total", "counter", "Answers, by the class of their status.");
    for (class, count) in &gateway.responses_total {
        let _ =
            writeln!(page.text, "hero_runner_gateway_responses_total{{class=\"{}\"}} {count}", label(class));
    }
    page.head(
        "hero_runner_proxy_request_duration_seconds",
        "histogram",
        "From a request to the head of its answer, through the gateway.",
    );
    page.histogram(
        "hero_runner_proxy_request_duration_seconds",
        "",
        &gateway.durations,
        gateway.duration_us_total,
    );
    page.one(
        "hero_runner_gateway_upstream_connects_total",
        "counter",
        "Connections made to services.",
        gateway.upstream_connects_total,
    );
    page.one(
        "hero_runner_gateway_upstream_reused_total",
        "counter",
        "Requests over a connection to a service that an earlier one had left.",
        gateway.upstream_reused_total,
    );
    page.head("hero_runner_build_info", "gauge", "The version of the server and of its engine; always 1.");
    let _ = writeln!(
        page.text,
        "hero_runner_build_info{{version=\"{}\",engine=\"{}\"}} 1",
        label(api::VERSION),
        label(&stats.engine)
    );
    page.one(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory of the server.",
        stats.server_rss_kb.saturating_mul(1024),
    );
    page.one(
        "process_start_time_seconds",
        "gauge",
        "When the server started, since the Unix epoch.",
        started,
    );
    page.text
}

/// What sessions took, by module. Modules that requests name by path or digest are one.
fn modules(page: &mut Page, stats: &[ModuleStats]) {
    let mut modules: BTreeMap<&str, ModuleStats> = BTreeMap::new();
    for one in stats {
        let sum = modules.entry(named(&one.module)).or_default();
        for (outcome, count) in &one.outcomes {
            *sum.outcomes.entry(outcome.clone()).or_default() += count;
        }
        sum.durations.resize(DURATIONS_MS.len() + 1, 0);
        for (sum, count) in sum.durations.iter_mut().zip(&one.durations) {
            *sum += count;
        }
        sum.run_us_total += one.run_us_total;
        sum.loads_total += one.loads_total;
        sum.load_us_total += one.load_us_total;
        sum.cpu_ms_total += one.cpu_ms_total;
        sum.max_rss_kb = sum.max_rss_kb.max(one.max_rss_kb);
    }
    const ENDED: &str = "hero_runner_sessions_total";
    page.head(ENDED, "counter", "Sessions that ended, by module and outcome.");
    for (module, stats) in &modules {
        for (outcome, count) in &stats.outcomes {
            let (module, outcome) = (label(module), label(outcome));
            let _ = writeln!(page.text, "{ENDED}{{module=\"{module}\",outcome=\"{outcome}\"}} {count}");
        }
    }
    const RAN: &str = "hero_runner_session_duration_seconds";
    page.head(RAN, "histogram", "From the start of a session to its end.");
    for (module, stats) in &modules {
        page.histogram(RAN, &format!("module=\"{}\"", label(module)), &stats.durations, stats.run_us_total);
    }
    const LOADED: &str = "hero_runner_session_load_seconds";
    page.head(LOADED, "summary", "What a worker took to load and instantiate the module.");
    for (module, stats) in &modules {
        let (module, seconds) = (label(module), stats.load_us_total as f64 / 1e6);
        let _ = writeln!(page.text, "{LOADED}_sum{{module=\"{module}\"}} {seconds}");
        let _ = writeln!(page.text, "{LOADED}_count{{module=\"{module}\"}} {}", stats.loads_total);
    }
    const CPU: &str = "hero_runner_session_cpu_seconds_total";
    page.head(CPU, "counter", "Processor time of sessions that ended.");
    for (module, stats) in &modules {
        let seconds = stats.cpu_ms_total as f64 / 1e3;
        let _ = writeln!(page.text, "{CPU}{{module=\"{}\"}} {seconds}", label(module));
    }
    const MEMORY: &str = "hero_runner_session_max_resident_memory_bytes";
    page.head(MEMORY, "gauge", "The largest resident size of a session's process since the server started.");
    for (module, stats) in &modules {
        let _ = writeln!(page.text, "{MEMORY}{{module=\"{}\"}} {}", label(module), stats.max_rss_kb << 10);
    }
}

/// A module's name as a label: names are few, paths and digests are without number and are one.
pub(crate) fn named(module: &str) -> &str {
    if module.contains('/') || module.starts_with("sha256:") { "(others)" } else { module }
}

struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A histogram with these counts, which are not yet cumulative; `labels` are those before `le`.
    fn histogram(&mut self, name: &str, labels: &str, counts: &[u64], us: u64) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut sum = 0;
        for (at, count) in counts.iter().enumerate() {
            sum += count;
            let le = DURATIONS_MS.get(at).map_or("+Inf".to_owned(), |ms| (*ms as f64 / 1e3).to_string());
            let _ = writeln!(self.text, "{name}_bucket{{{labels}{comma}le=\"{le}\"}} {sum}");
        }
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.text, "{name}_sum{braces} {}", us as f64 / 1e6);
        let _ = writeln!(self.text, "{name}_count{braces} {sum}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        let _ = writeln!(self.text, "{name} {value}");
    }
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_help_and_type_before_it() {
        let module = |name: &str, exited| ModuleStats {
            module: name.to_owned(),
            outcomes: [("exited".to_owned(), exited), ("timed_out".to_owned(), 1)].into(),
            durations: vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
            run_us_total: 5,
            ..ModuleStats::default()
        };
        let stats = Stats {
            modules: vec![module("hello", 3), module("/a.wasm", 1), module("sha256:0", 1)],
            engine: "wasm\"edge\n\\".into(),
            server_rss_kb: 2,
            ..Stats::default()
        };
        let text = text(&stats, 12.5);
        let mut known = std::collections::BTreeSet::new();
        for line in text.lines() {
            match line.strip_prefix("# ") {
                Some(comment) => {
                    known.insert(comment.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" "));
                }
                None => {
                    let name = line.split(['{', ' ']).next().unwrap();
                    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                    let name = base.filter(|base| known.contains(&format!("TYPE {base}"))).unwrap_or(name);
                    assert!(known.contains(&format!("HELP {name}")), "{line}");
                    assert!(known.contains(&format!("TYPE {name}")), "{line}");
                    line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
                }
            }
        }
        assert!(
            text.contains("hero_runner_sessions_total{module=\"hello\",outcome=\"exited\"} 3\n"),
            "{text}"
        );
        assert!(text.contains("hero_runner_sessions_total{module=\"(others)\",outcome=\"exited\"} 2\n"));
        const RAN: &str = "hero_runner_session_duration_seconds";
        assert!(text.contains(&format!("{RAN}_bucket{{module=\"hello\",le=\"0.001\"}} 1\n")), "{text}");
        assert!(text.contains(&format!("{RAN}_bucket{{module=\"hello\",le=\"+Inf\"}} 3\n")));
        assert!(text.contains(r#"engine="wasm\"edge\n\\""#), "{text}");
        assert!(text.contains("\nprocess_resident_memory_bytes 2048\n"));
        assert!(text.ends_with("process_start_time_seconds 12.5\n"));
    }
}
