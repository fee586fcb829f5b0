//! `GET /stats`: what the server does, over time and by module, in numbers; scripts draw the same.

use api::method::{NoParams, StatsHistoryMethod, StatsMethod};
use api::samples::{StatsHistory, StatsSample};
use api::stats::{DURATIONS_MS, ModuleStats, Stats};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::problem;
use crate::html::html;
use crate::server::Failure;
use crate::shell::{Shell, Visit};
use crate::view::bars::Bars;
use crate::view::{self, Moment, now_ms};

/// How far back the tables reach, in seconds, and how much one row of them tells.
const REACH_S: u32 = 15 * 60;
const ROW_MS: u64 = 60_000;

#[derive(Debug, Template)]
#[template(path = "stats.html")]
struct Page {
    shell: Shell,
    summary: Vec<(&'static str, String)>,
    charts: Result<Vec<Chart>, String>,
    modules: Vec<ModuleRow>,
    gateway: Vec<(&'static str, String)>,
    outcomes: Vec<(String, String)>,
}

/// A chart, and its numbers.
#[derive(Debug)]
struct Chart {
    key: &'static str,
    title: &'static str,
    columns: &'static [&'static str],
    rows: Vec<(Moment, Vec<String>)>,
}

/// What the sessions of one module took.
#[derive(Debug)]
pub(crate) struct ModuleRow {
    pub(crate) module: String,
    pub(crate) ended: String,
    pub(crate) outcomes: String,
    pub(crate) last_minute: u64,
    pub(crate) load: String,
    pub(crate) run: String,
    pub(crate) longest: String,
    pub(crate) cpu: String,
    pub(crate) memory: String,
    pub(crate) bars: Option<Bars>,
}

impl ModuleRow {
    pub(crate) fn of(stats: &ModuleStats) -> Self {
        let mean = |total: u64, count: u64| total.checked_div(count).map(view::span).unwrap_or_default();
        let ended: u64 = stats.outcomes.values().sum();
        Self {
            module: view::module(&stats.module),
            ended: view::count(ended),
            outcomes: outcomes(stats).join(", "),
            last_minute: stats.ended_last_minute,
            load: mean(stats.load_us_total, stats.loads_total),
            run: mean(stats.run_us_total, stats.runs_total),
            longest: view::span(stats.run_us_max),
            cpu: view::millis(stats.cpu_ms_total),
            memory: view::kib(stats.max_rss_kb),
            bars: durations(&stats.durations),
        }
    }
}

fn outcomes(stats: &ModuleStats) -> Vec<String> {
    stats
        .outcomes
        .iter()
        .map(|(name, count)| format!("{} {}", view::count(*count), name.replace('_', " ")))
        .collect()
}

/// How many took how long.
pub(crate) fn durations(counts: &[u64]) -> Option<Bars> {
    let bound = |place: usize| match DURATIONS_MS.get(place) {
        Some(ms) => format!("up to {}", view::limit(*ms)),
        None => "longer".to_owned(),
    };
    let named = counts.iter().enumerate().map(|(place, count)| (*count, bound(place)));
    Bars::counts(named.collect())
}

pub(crate) async fn show(visit: Visit) -> Response {
    let history = StatsHistory { limit: Some(REACH_S), step_ms: Some(1000), after_ms: None };
    let (shell, stats, history) = tokio::join!(
        visit.shell("stats", "stats", "Stats"),
        visit.ask::<StatsMethod>(NoParams {}),
        visit.ask::<StatsHistoryMethod>(history),
    );
    let stats = match stats {
        Ok(stats) => stats,
        Err(failure) => return problem::failed(shell, &failure),
    };
    let now = now_ms();
    let mut modules: Vec<&ModuleStats> = stats.modules.iter().collect();
    modules.sort_by_key(|module| std::cmp::Reverse(module.run_us_total));
    let outcome = |(name, count): (&String, &u64)| (name.replace('_', " "), view::count(*count));
    let page = Page {
        shell: Shell { live_ms: 5000, ..shell },
        summary: summary(&stats),
        charts: history
            .map(|history| charts(&history.samples, history.step_ms, now))
            .map_err(|failure: Failure| failure.reason),
        modules: modules.into_iter().map(ModuleRow::of).collect(),
        gateway: gateway(&stats),
        outcomes: stats.outcomes.iter().map(outcome).collect(),
    };
    html(StatusCode::OK, &page)
}

fn summary(stats: &Stats) -> Vec<(&'static str, String)> {
    let memory = &stats.memory;
    let budget = view::kib(memory.templates_budget_kb);
    vec![
        ("Up for", view::millis(stats.uptime_ms)),
        ("Sessions", format!("{} since the start", view::count(stats.sessions_total))),
        ("Running", format!("{} of {} at most", stats.running, stats.max_sessions)),
        ("Queued", format!("{} of {} at most", stats.queued, view::count(stats.max_queue))),
        ("Refused, the queue full", view::count(stats.rejected_total)),
        ("Workers parked", stats.parked.to_string()),
        (
            "Templates",
            format!(
                "{} of {budget}, {} let go",
                view::kib(memory.templates_pss_kb),
                memory.templates_evicted_total
            ),
        ),
        ("Server", view::kib(stats.server_rss_kb)),
        ("Zygote", stats.zygote_rss_kb.map_or("none".to_owned(), view::kib)),
        (
            "Log",
            format!(
                "{} ({})",
                view::plural(stats.log_lines_total, "line"),
                view::bytes(stats.log_bytes_total)
            ),
        ),
        ("Lines dropped", view::count(stats.log_dropped_total)),
        ("History on disk", view::bytes(stats.history_bytes)),
    ]
}

fn gateway(stats: &Stats) -> Vec<(&'static str, String)> {
    let gateway = &stats.gateway;
    let answers: u64 = gateway.responses_total.values().sum();
    let by_class: Vec<String> = gateway
        .responses_total
        .iter()
        .map(|(class, count)| format!("{} {class}", view::count(*count)))
        .collect();
    let mean = gateway.duration_us_total.checked_div(answers).map(view::span).unwrap_or_default();
    vec![
        ("Answers", view::count(answers)),
        ("By class", by_class.join(", ")),
        ("Mean time to the head", mean),
        ("Connections", gateway.connections.to_string()),
        ("Turned away", view::count(gateway.connections_refused_total)),
        ("Connections to services", view::count(gateway.upstream_connects_total)),
        ("Requests on kept ones", view::count(gateway.upstream_reused_total)),
    ]
}

/// The samples of one row of the tables.
struct Minute<'a> {
    samples: &'a [StatsSample],
    seconds: f64,
}

impl Minute<'_> {
    fn sum(&self, field: impl Fn(&StatsSample) -> u64) -> u64 {
        self.samples.iter().map(field).sum()
    }

    fn rate(&self, field: impl Fn(&StatsSample) -> u64) -> String {
        format!("{:.1}", self.sum(field) as f64 / self.seconds)
    }

    fn mean(&self, field: impl Fn(&StatsSample) -> u64) -> u64 {
        self.sum(field) / self.samples.len().max(1) as u64
    }

    fn most(&self, field: impl Fn(&StatsSample) -> u64) -> u64 {
        self.samples.iter().map(field).max().unwrap_or_default()
    }

    /// The middle of the samples that have the field, and the largest.
    fn spread(&self, field: impl Fn(&StatsSample) -> Option<u64>) -> (Option<u64>, Option<u64>) {
        let mut known: Vec<u64> = self.samples.iter().filter_map(field).collect();
        known.sort_unstable();
        (known.get(known.len() / 2).copied(), known.last().copied())
    }
}

fn charts(samples: &[StatsSample], step_ms: u64, now_ms: u64) -> Vec<Chart> {
    let same = |one: &StatsSample, other: &StatsSample| one.ts_ms / ROW_MS == other.ts_ms / ROW_MS;
    let mut minutes: Vec<Minute<'_>> = samples
        .chunk_by(same)
        .map(|samples| Minute { samples, seconds: (samples.len() as u64 * step_ms) as f64 / 1000.0 })
        .collect();
    minutes.reverse();
    let chart = |key, title, columns, cells: &dyn Fn(&Minute<'_>) -> Vec<String>| {
        let row = |minute: &Minute<'_>| {
            let start = minute.samples.first().map_or(0, |sample| sample.ts_ms / ROW_MS * ROW_MS);
            (Moment::at(start, now_ms), cells(minute))
        };
        Chart { key, title, columns, rows: minutes.iter().map(row).collect() }
    };
    let us = |us: Option<u64>| us.map_or("–".to_owned(), view::span);
    vec![
        chart("sessions", "Sessions per second", &["Started/s", "Ended/s", "Failed"], &|minute| {
            vec![
                minute.rate(|one| one.started),
                minute.rate(|one| one.ended),
                view::count(minute.sum(|one| one.failed)),
            ]
        }),
        chart(
            "latency",
            "Time until a worker has it",
            &["p50, middle", "p99, middle", "p99, largest"],
            &|minute| {
                let (p50, _) = minute.spread(|one| one.start_us_p50);
                let (p99, worst) = minute.spread(|one| one.start_us_p99);
                vec![us(p50), us(p99), us(worst)]
            },
        ),
        chart(
            "pool",
            "Workers and the queue",
            &["Running, mean", "Running, most", "Parked, mean", "Queued, most"],
            &|minute| {
                vec![
                    minute.mean(|one| one.running).to_string(),
                    minute.most(|one| one.running).to_string(),
                    minute.mean(|one| one.parked).to_string(),
                    minute.most(|one| one.queued).to_string(),
                ]
            },
        ),
        chart("memory", "Memory", &["All, mean", "All, most", "Server, mean"], &|minute| {
            vec![
                view::kib(minute.mean(|one| one.memory_kb)),
                view::kib(minute.most(|one| one.memory_kb)),
                view::kib(minute.mean(|one| one.server_rss_kb)),
            ]
        }),
        chart("cpu", "CPU", &["Mean", "Most"], &|minute| {
            let percent = |ms: f64| format!("{:.0} %", ms / step_ms as f64 * 100.0);
            let mean = minute.sum(|one| one.cpu_ms) as f64 / minute.samples.len().max(1) as f64;
            vec![percent(mean), percent(minute.most(|one| one.cpu_ms) as f64)]
        }),
        chart("logs", "Log lines per second", &["Lines/s", "Bytes/s", "Dropped"], &|minute| {
            let bytes = minute.sum(|one| one.log_bytes) as f64 / minute.seconds;
            vec![
                minute.rate(|one| one.log_lines),
                view::bytes(bytes as u64),
                view::count(minute.sum(|one| one.log_dropped)),
            ]
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_rows_of_a_minute_the_newest_first() {
        let sample = |second: u64, started: u64, p99: Option<u64>| StatsSample {
            ts_ms: second * 1000,
            started,
            running: started,
            start_us_p99: p99,
            cpu_ms: 500,
            ..StatsSample::default()
        };
        let samples = [
            sample(58, 10, Some(100)),
            sample(59, 20, None),
            sample(60, 5, Some(700)),
            sample(61, 7, Some(900)),
        ];
        let charts = charts(&samples, 1000, 90_000);
        let rows = |key| &charts.iter().find(|chart| chart.key == key).unwrap().rows;
        assert_eq!(rows("sessions").len(), 2);
        assert_eq!(rows("sessions")[0].1[0], "6.0");
        assert_eq!(rows("sessions")[1].1[0], "15.0");
        assert_eq!(rows("pool")[1].1[..2], ["15", "20"]);
        assert_eq!(rows("latency")[0].1, ["–", "900 µs", "900 µs"]);
        assert_eq!(rows("cpu")[0].1, ["50 %", "50 %"]);
    }
}
