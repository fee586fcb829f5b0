//! `hero_runner services list`.

use api::method::{NoParams, ServiceListMethod};
use api::service::{Probe, ServiceInfo, ServiceList};

use super::{kind, state};
use crate::table::Table;
use crate::{Context, text};

pub(super) async fn run(context: &Context) -> anyhow::Result<u8> {
    let list = context.client.call::<ServiceListMethod>(NoParams {}).await?;
    print(context, &list)?;
    Ok(0)
}

/// Prints a list, and what was refused beside it.
pub(super) fn print(context: &Context, list: &ServiceList) -> anyhow::Result<()> {
    if context.console.json {
        return context.console.json(list);
    }
    context.console.print(&table(&list.services, text::now_ms()).render(&context.console))?;
    for problem in &list.problems {
        let key = problem.key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default();
        let what = format!("{} was refused: {}: {key}{}", problem.name, problem.file, problem.reason);
        context.console.note(&text::plain(&what));
    }
    Ok(())
}

fn table(services: &[ServiceInfo], now_ms: u64) -> Table {
    let mut table = Table::new(&["NAME", "PREFIX", "KIND", "STATE", "PROBE", "RESTARTS", "MEM", "URL"]);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for service in services {
        let next_try = service.next_try_at.map(|at| format!(", again {}", text::until(at, now_ms)));
        table.row([
            service.name.clone(),
            format!("/{}", service.prefix),
            kind(service.kind).to_owned(),
            format!("{}{}", state(service.state), next_try.unwrap_or_default()),
            or_dash(service.last_probe.as_ref().map(probe)),
            service.restarts.to_string(),
            or_dash(service.memory_limit_mb.map(|limit| text::bytes(u64::from(limit) << 20))),
            or_dash(service.url.clone()),
        ]);
    }
    table
}

/// How a probe went.
pub(super) fn probe(probe: &Probe) -> String {
    let found = match (probe.status, probe.ok) {
        (Some(status), true) => status.to_string(),
        (Some(status), false) => format!("bad {status}"),
        (None, _) => "no answer".to_owned(),
    };
    format!("{found} {}", text::span(probe.latency_us))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Console;
    use serde_json::json;

    #[test]
    fn the_list_shows_where_services_stand() {
        let service = |more: serde_json::Value| {
            let mut value = json!({
                "name": "hello", "description": null, "prefix": "hello", "kind": "listener", "state": "ready",
                "reason": null, "next_try_at": null, "url": "http://127.0.0.1:14000/hello/", "address": null,
                "module": "hello", "instances": [], "restarts": 0, "ready_since": null, "memory_limit_mb": 64,
                "last_probe": { "at": 1, "ok": true, "status": 200, "latency_us": 1234, "error": null },
                "requests": 0, "schedules": 0,
            });
            for (name, field) in more.as_object().unwrap() {
                value[name] = field.clone();
            }
            serde_json::from_value::<ServiceInfo>(value).unwrap()
        };
        let bad = json!({ "at": 1, "ok": false, "status": 503, "latency_us": 800, "error": null });
        let services = [
            service(json!({})),
            service(json!({
                "name": "odd", "prefix": "a/b", "state": "backoff", "next_try_at": 8000, "restarts": 12,
                "last_probe": bad, "memory_limit_mb": null, "url": null,
            })),
            service(
                json!({ "name": "cgi", "prefix": "c", "kind": "handler", "last_probe": null, "state": "idle" }),
            ),
        ];
        let console = Console { json: false, quiet: false, color: false };
        let expected = "\
NAME   PREFIX  KIND      STATE                 PROBE           RESTARTS  MEM       URL
hello  /hello  listener  ready                 200 1.2 ms      0         64.0 MiB  http://127.0.0.1:14000/hello/
odd    /a/b    listener  backoff, again in 3s  bad 503 800 µs  12        -         -
cgi    /c      handler   idle                  -               0         64.0 MiB  http://127.0.0.1:14000/hello/
";
        assert_eq!(table(&services, 5000).render(&console), expected);
    }
}
