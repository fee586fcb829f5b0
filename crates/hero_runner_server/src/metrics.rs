//! `GET /metrics`: the numbers of `stats` in Prometheus' text format.

use std::fmt::{Display, Write as _};

use api::stats::Stats;
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
    page.head("hero_runner_sessions_total", "counter", "Sessions that ended, by outcome.");
    for (outcome, count) in &stats.outcomes {
        let _ = writeln!(page.text, "hero_runner_sessions_total{{outcome=\"{}\"}} {count}", label(outcome));
    }
    page.one("hero_runner_sessions_accepted_total", "counter", "Sessions accepted.", stats.sessions_total);
    page.one(
        "hero_runner_sessions_rejected_total",
        "counter",
        "Sessions refused because the queue was full.",
        stats.rejected_total,
    );
    page.one("hero_runner_sessions_running", "gauge", "Sessions that run.", stats.running);
    page.one("hero_runner_sessions_queued", "gauge", "Sessions that wait for a worker.", stats.queued);
    page.one("hero_runner_pool_parked_workers", "gauge", "Workers that stand ready.", stats.parked);
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

struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
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
        let stats = Stats {
            outcomes: [("exited".to_owned(), 3), ("timed_out".to_owned(), 1)].into(),
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
                    assert!(known.contains(&format!("HELP {name}")), "{line}");
                    assert!(known.contains(&format!("TYPE {name}")), "{line}");
                    line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
                }
            }
        }
        assert!(text.contains("hero_runner_sessions_total{outcome=\"exited\"} 3\n"));
        assert!(text.contains(r#"engine="wasm\"edge\n\\""#), "{text}");
        assert!(text.contains("\nprocess_resident_memory_bytes 2048\n"));
        assert!(text.ends_with("process_start_time_seconds 12.5\n"));
    }
}
