//! `GET /services/{name}`: one service.

use api::method::{ScheduleListMethod, ServiceGetMethod, ServiceVersionsMethod};
use api::schedule::ScheduleQuery;
use api::service::{ServiceEnd, ServiceRef, ServiceVersion};
use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::problem;
use super::services::Row;
use crate::html::html;
use crate::shell::{Shell, Visit};
use crate::view::schedule::ScheduleRow;
use crate::view::service::ProbeView;
use crate::view::{self, Moment, now_ms};

#[derive(Debug, Template)]
#[template(path = "service.html")]
struct Page {
    shell: Shell,
    row: Row,
    file: String,
    address: Option<String>,
    /// What the declaration says, with all defaults.
    spec: String,
    probes: Vec<ProbeView>,
    ends: Vec<End>,
    versions: Vec<Version>,
    schedules: Vec<ScheduleRow>,
    /// The logs of its processes side by side.
    logs: Option<String>,
    history: String,
}

#[derive(Debug)]
struct End {
    session: String,
    at: Moment,
    reason: String,
}

#[derive(Debug)]
struct Version {
    number: u64,
    label: Option<String>,
    deployed: Moment,
    current: bool,
    size: String,
    digest: String,
    rollback: String,
}

impl Version {
    fn of(version: &ServiceVersion, service: &str, now_ms: u64) -> Self {
        Self {
            number: version.version,
            label: version.label.clone(),
            deployed: Moment::at(version.deployed_at, now_ms),
            current: version.current,
            size: view::bytes(version.size),
            digest: version.digest.clone(),
            rollback: json!({ "name": service, "version": version.version }).to_string(),
        }
    }
}

pub(crate) async fn show(visit: Visit, Path(name): Path<String>) -> Response {
    let wanted = ServiceRef { name: name.clone() };
    let schedules = ScheduleQuery { service: Some(name.clone()), ..ScheduleQuery::default() };
    let (shell, detail, versions, schedules) = tokio::join!(
        visit.shell("service", "services", name.clone()),
        visit.ask::<ServiceGetMethod>(wanted.clone()),
        visit.ask::<ServiceVersionsMethod>(wanted),
        visit.ask::<ScheduleListMethod>(schedules),
    );
    let detail = match detail {
        Ok(detail) => detail,
        Err(failure) => {
            return problem::failed_with_way(shell, &failure, Some(("/services", "All services")));
        }
    };
    let now = now_ms();
    let versions = versions.map(|list| list.versions).unwrap_or_default();
    let schedules = schedules.map(|list| list.schedules).unwrap_or_default();
    let end = |end: &ServiceEnd| End {
        session: end.session_id.clone(),
        at: Moment::at(end.at, now),
        reason: end.reason.clone(),
    };
    let instances = &detail.service.instances;
    let sessions: Vec<_> = instances.iter().map(|one| ("session", one.session_id.as_str())).collect();
    let page = Page {
        shell,
        row: Row::of(&detail.service, &detail.probes, now),
        file: detail.file,
        address: detail.service.address.clone(),
        spec: serde_json::to_string_pretty(&detail.spec).unwrap_or_default(),
        probes: detail.probes.iter().rev().take(20).map(|probe| ProbeView::of(probe, now)).collect(),
        ends: detail.ends.iter().rev().map(end).collect(),
        versions: versions.iter().map(|version| Version::of(version, &name, now)).collect(),
        schedules: schedules.iter().map(|schedule| ScheduleRow::of(schedule, now)).collect(),
        logs: (!sessions.is_empty()).then(|| view::address("/logs", &sessions)),
        history: view::address("/sessions", &[("label", &format!("service={name}"))]),
    };
    html(StatusCode::OK, &page)
}
