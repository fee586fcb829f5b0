//! What a server may say, with everything in it that a page can show.

use serde_json::{Value, json};

use crate::stand_in::{Said, now_ms, schedule, service};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A session that has ended, with what is to be different.
pub(crate) fn session(more: Value) -> Value {
    let now = now_ms();
    let mut session = json!({
        "session_id": "ses-0123456789ab", "module": "hello", "digest": DIGEST, "state": "succeeded", "ready": false,
        "outcome": { "kind": "exited", "code": 0 }, "child_pid": null, "args": ["--name", "two words"],
        "labels": { "team": "blue" }, "created_at": now - 63_000, "started_at": now - 62_995, "ended_at": now - 61_000,
        "duration_ms": 1995.5, "load_ms": 1.25, "cpu_ms": 12, "max_rss_kb": 2048, "minor_faults": 99, "start": "warm",
        "mode": "compiled", "engine": "wasmedge", "limits": { "timeout_ms": 30_000, "memory_limit_mb": 64 },
        "log_next_seq": 7, "log_dropped": 3,
    });
    for (name, field) in more.as_object().expect("an object") {
        session[name] = field.clone();
    }
    session
}

fn module(name: &str) -> Value {
    json!({
        "name": name, "digest": DIGEST, "kind": "core", "size": 2048, "created_at": now_ms() - 5000,
        "artifact": { "state": "failed", "why": name },
    })
}

fn template(name: &str) -> Value {
    json!({
        "name": name, "spec": { "module": name, "script": { "pass": "envelope", "extensions": [name] } },
        "origin": "created", "state": "failed", "why": name, "retry_in_ms": 1500, "digest": DIGEST, "pid": 4242,
        "warm_ms": 3, "pss_kb": 4096, "parked": 2, "running": 1, "sessions_total": 1234, "failures": 1,
    })
}

/// A server where everything is called this.
pub(crate) fn everything(name: &str, method: &str) -> Said {
    let now = now_ms();
    let probe =
        |ok: bool| json!({ "at": now - 3000, "ok": ok, "status": 200, "latency_us": 900, "error": name });
    let ended = json!({
        "module": name, "args": [name], "labels": { name: name }, "template": name, "state": "failed",
        "outcome": { "kind": "trapped", "trap": name, "message": name }, "value": { name: name },
        "attempts": [{ "module": name, "started_at": now - 9, "ended_at": now - 5, "outcome": { "kind": "timed_out" } }],
    });
    let running = json!({
        "session_id": "ses-running00000", "module": name, "state": "running", "ready": true, "outcome": null,
        "ended_at": null, "child_pid": 77,
    });
    let info = service(json!({
        "name": name, "description": name, "reason": name, "module": name, "state": "backoff", "next_try_at": now + 900,
        "url": format!("javascript:{name}"), "address": name, "version": 2, "last_probe": probe(false),
        "instances": [{ "session_id": "ses-running00000", "state": "running", "pid": 77, "ready": true, "requests": 1 }],
    }));
    let run = json!({
        "at": now - 900, "status": null, "duration_ms": 12, "body_head": name, "error": name, "manual": true,
    });
    let plan = schedule(json!({
        "id": name, "service": name, "endpoint": name, "method": name, "when": name, "last_run": run, "next_at": now + 900,
    }));
    Ok(match method {
        "stats" => json!({
            "server_pid": 1, "zygote_pid": 2, "zygote_restarts": 0, "uptime_ms": 90_000, "running": 1, "queued": 0,
            "parked": 4, "max_sessions": 256, "max_queue": 1000, "sessions_total": 12_345, "rejected_total": 0,
            "outcomes": { name: 3 }, "log_lines_total": 5, "log_bytes_total": 99, "log_dropped_total": 0,
            "history_ok": true, "history_bytes": 1024, "server_rss_kb": 4096, "zygote_rss_kb": 512, "engine": name,
            "draining": false,
            "memory": {
                "templates_budget_kb": 9, "templates_pss_kb": 8, "templates_evicted_total": 0, "templates": [],
                "sessions": [],
            },
            "modules": [{
                "module": name, "outcomes": { name: 3 }, "ended_last_minute": 1, "loads_total": 1, "load_us_total": 5,
                "runs_total": 2, "run_us_total": 900, "run_us_max": 800, "durations": [1, 0, 2], "cpu_ms_total": 4,
                "max_rss_kb": 99,
            }],
        }),
        "stats_history" => json!({ "step_ms": 1000, "samples": [{
            "ts_ms": now, "started": 2, "ended": 1, "failed": 1, "running": 1, "queued": 0, "parked": 4,
            "start_us_p50": 90, "start_us_p99": 120, "server_rss_kb": 4096, "memory_kb": 8192, "cpu_ms": 250,
            "log_lines": 3, "log_bytes": 30, "log_dropped": 0,
        }] }),
        "session_list" => json!({ "sessions": [session(running), session(ended)], "next": name }),
        "session_get" => session(ended),
        "session_logs" => json!({
            "lines": [{ "seq": 0, "ts_ms": now, "kind": "stdout", "line": name }], "next_seq": 1, "next_ts_ms": now, "gap": 2,
            "end": true,
        }),
        "module_list" => json!({ "modules": [module(name)] }),
        "module_get" => {
            let mut detail = module(name);
            detail["imports"] = json!([{ "module": name, "name": name, "ty": name }]);
            detail["exports"] = json!([{ "name": name, "ty": name }]);
            detail["missing"] = json!([name]);
            detail
        }
        "module_inspect" => json!({
            "kind": "module", "size": 2048, "wasi": name, "worlds": [name], "imports": [], "exports": [],
            "permissions": [{ "permission": name, "imports": [name] }], "wit": name, "start": 3,
            "memories": [{ "min": 1, "max": 2 }], "tables": [{ "min": 1 }], "code_bytes": 9, "data_bytes": 9, "functions": 4,
            "modules": 0, "components": 0, "custom_sections": [{ "name": name, "bytes": 9 }],
            "producers": { name: [name] }, "target_features": [name],
        }),
        "template_list" => json!({ "templates": [template(name)] }),
        "template_get" => template(name),
        "service_list" => json!({
            "services": [info], "problems": [{ "name": name, "file": name, "key": name, "reason": name }], "gateway": name,
        }),
        "service_get" => json!({
            "service": info, "file": name, "spec": { "prefix": name }, "probes": [probe(true), probe(false)],
            "ends": [{ "session_id": "ses-running00000", "at": now - 9, "reason": name }],
        }),
        "service_versions" => json!({ "versions": [
            { "version": 2, "label": name, "deployed_at": now - 9, "current": true, "sha256": "", "size": 9, "digest": DIGEST },
            { "version": 1, "label": null, "deployed_at": now - 99, "current": false, "sha256": "", "size": 9, "digest": DIGEST },
        ] }),
        "schedule_list" => json!({ "schedules": [plan], "history": { name: [run] } }),
        "server_settings" => json!({ "config_file": name, "settings": [
            { "key": name, "value": name, "source": "file", "origin": name, "description": name },
            { "key": "quiet_one", "value": 5, "source": "default", "description": "Nobody set it." },
        ] }),
        "log_level" => json!({ "level": name }),
        "health" => {
            json!({ "status": "degraded", "service": "hero_runner", "version": "9", "reasons": [name] })
        }
        _ => return Err(api::ErrorCode::InvalidParams),
    })
}

/// Every page of the dashboard, where everything is called `thing`.
pub(crate) const PAGES: [&str; 18] = [
    "/sessions",
    "/sessions?q=a&state=running&module=b&label=c&cursor=d",
    "/sessions/ses-0123456789ab",
    "/run",
    "/run?again=ses-0123456789ab",
    "/services",
    "/services/thing",
    "/schedules",
    "/modules",
    "/modules?tab=templates",
    "/modules/thing",
    "/templates/thing",
    "/logs",
    "/logs?session=ses-running00000",
    "/stats",
    "/admin",
    "/docs",
    "/docs/session_start",
];
