//! `hero_runner services show`.

use api::method::ServiceGetMethod;
use api::permission::Net;
use api::service::{Instance, Probe, ServiceDetail, ServiceRef, ServiceSpec};

use super::{kind, list, state};
use crate::table::facts;
use crate::{Context, text};

/// How many of the last probes and ends are shown; all of them with `-o json`.
const SHOWN: usize = 5;

pub(super) async fn run(context: &Context, name: String) -> anyhow::Result<u8> {
    let detail = context.client.call::<ServiceGetMethod>(ServiceRef { name }).await?;
    if context.console.json {
        context.console.json(&detail)?;
    } else {
        context.console.print(&facts(&context.console, &rows(&detail, text::now_ms())))?;
    }
    Ok(0)
}

fn rows(detail: &ServiceDetail, now_ms: u64) -> Vec<(&'static str, String)> {
    let service = &detail.service;
    let time = |ms: u64| format!("{} ({})", text::timestamp(ms), text::ago(ms, now_ms));
    let mut rows = vec![("name", service.name.clone())];
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    add("description", service.description.clone());
    add("state", Some(state(service.state).to_owned()));
    add("reason", service.reason.clone());
    add("next try", service.next_try_at.map(|at| text::until(at, now_ms)));
    add("ready since", service.ready_since.map(time));
    add("url", service.url.clone());
    add("prefix", Some(format!("/{}", service.prefix)));
    add("kind", Some(kind(service.kind).to_owned()));
    add("address", service.address.clone());
    add("module", Some(service.module.clone()));
    add("file", Some(detail.file.clone()));
    add("restarts", Some(service.restarts.to_string()));
    add("requests", Some(service.requests.to_string()));
    rows.extend(service.instances.iter().map(|one| ("process", instance(one))));
    rows.extend(asked(&detail.spec));
    let last = |length: usize| length.saturating_sub(SHOWN);
    let probes = &detail.probes[last(detail.probes.len())..];
    rows.extend(probes.iter().map(|one| ("probe", format!("{} {}", text::timestamp(one.at), probe(one)))));
    let ends = &detail.ends[last(detail.ends.len())..];
    let end = |at: u64, id: &str, reason: &str| format!("{} {id} {reason}", text::timestamp(at));
    rows.extend(ends.iter().map(|one| ("end", end(one.at, &one.session_id, &one.reason))));
    rows
}

fn probe(probe: &Probe) -> String {
    let error = probe.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{}{error}", list::probe(probe))
}

fn instance(instance: &Instance) -> String {
    let pid = instance.pid.map_or("no process".to_owned(), |pid| format!("pid {pid}"));
    let ready = if instance.ready { "ready" } else { "not ready" };
    format!("{} {pid}, {ready}, {} requests under way", instance.session_id, instance.requests)
}

/// What the declaration says, where it says something.
fn asked(spec: &ServiceSpec) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let mut add = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    add("enabled", (!spec.enabled).then(|| "no: not started with the server".to_owned()));
    add("memory limit", spec.memory_limit_mb.map(|limit| text::bytes(u64::from(limit) << 20)));
    add("instances", spec.instances.map(|count| count.to_string()));
    add("requires", (!spec.requires.is_empty()).then(|| spec.requires.join(", ")));
    add("args", (!spec.args.is_empty()).then(|| spec.args.join(" ")));
    let net = match &spec.permissions.net {
        Net::Nothing => None,
        Net::Anything => Some("any".to_owned()),
        Net::Listed(list) => Some(list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    add("net", net);
    let seconds = |seconds: u64| text::span(seconds.saturating_mul(1_000_000));
    add("idle timeout", spec.idle_timeout_secs.map(seconds));
    rows.extend(spec.env.iter().map(|(name, value)| ("env", format!("{name}={value}"))));
    rows.extend(spec.dirs.iter().map(|dir| {
        let guest = dir.guest.as_deref().unwrap_or(&dir.host);
        ("folder", format!("{} as {guest}", dir.host))
    }));
    rows.extend(spec.schedules.iter().map(|schedule| {
        let when = match (schedule.interval_secs, &schedule.cron) {
            (Some(interval), _) => format!("every {interval} s"),
            (None, cron) => cron.clone().unwrap_or_default(),
        };
        ("schedule", format!("{} {when}", schedule.endpoint))
    }));
    rows
}
