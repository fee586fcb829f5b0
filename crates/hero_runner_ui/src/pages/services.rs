//! `GET /services`: what runs for long behind the gateway.

use api::method::{NoParams, ServiceGetMethod, ServiceListMethod};
use api::service::{Probe, ServiceInfo, ServiceRef, ServiceState};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::future::join_all;
use serde_json::json;

use super::problem;
use crate::html::html;
use crate::shell::{Shell, Visit};
use crate::view::bars::Bars;
use crate::view::service::{ProblemRow, ServiceRow, summary};
use crate::view::{self, Moment, now_ms};

/// So many services are asked for their probes; a list that is longer shows only the last one of each.
const PROBED: usize = 64;

#[derive(Debug, Template)]
#[template(path = "services.html")]
struct Page {
    shell: Shell,
    summary: String,
    gateway: Option<String>,
    rows: Vec<Row>,
    problems: Vec<ProblemRow>,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) service: ServiceRow,
    pub(crate) module: String,
    pub(crate) version: Option<u64>,
    /// Through the gateway.
    pub(crate) url: Option<String>,
    pub(crate) bars: Option<Bars>,
    pub(crate) stopped: bool,
    /// The parameters that name it.
    pub(crate) named: String,
}

impl Row {
    pub(crate) fn of(service: &ServiceInfo, probes: &[Probe], now_ms: u64) -> Self {
        Self {
            module: view::module(&service.module),
            version: service.version,
            // The server makes it of a prefix that it has looked at; nothing else becomes a link.
            url: service.url.clone().filter(|url| url.starts_with("http://") || url.starts_with("https://")),
            bars: bars(probes),
            stopped: matches!(service.state, ServiceState::Stopped | ServiceState::Failed),
            named: json!({ "name": service.name }).to_string(),
            service: ServiceRow::of(service, now_ms),
        }
    }
}

fn bars(probes: &[Probe]) -> Option<Bars> {
    let event = |probe: &Probe| {
        let at = Moment::at(probe.at, probe.at).exact;
        let status = probe.status.map(|status| format!("HTTP {status}, ")).unwrap_or_default();
        let error = probe.error.as_ref().map(|error| format!(", {error}")).unwrap_or_default();
        let title = format!("{at}: {status}{}{error}", view::span(probe.latency_us));
        (probe.ok, probe.latency_us, title)
    };
    Bars::of(probes.iter().map(event).collect(), "probes")
}

pub(crate) async fn show(visit: Visit) -> Response {
    let (shell, list) = tokio::join!(
        visit.shell("services", "services", "Services"),
        visit.ask::<ServiceListMethod>(NoParams {}),
    );
    let list = match list {
        Ok(list) => list,
        Err(failure) => return problem::failed(shell, &failure),
    };
    let details = list.services.iter().take(PROBED).map(|service| {
        let wanted = ServiceRef { name: service.name.clone() };
        visit.ask::<ServiceGetMethod>(wanted)
    });
    let mut details = join_all(details).await.into_iter();
    let now = now_ms();
    let row = |service: &ServiceInfo| {
        let probes = details.next().and_then(Result::ok).map(|detail| detail.probes).unwrap_or_default();
        Row::of(service, &probes, now)
    };
    let page = Page {
        shell,
        summary: summary(&list.services),
        gateway: list.gateway.clone(),
        rows: list.services.iter().map(row).collect(),
        problems: list.problems.iter().map(ProblemRow::of).collect(),
    };
    html(StatusCode::OK, &page)
}
