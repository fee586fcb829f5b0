//! Replies of a server, with what is to be different in them.

use serde_json::{Value, json};

fn with(mut value: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more}") };
    for (name, field) in more {
        value[name] = field;
    }
    value
}

/// A service.
pub(crate) fn service(more: Value) -> Value {
    let value = json!({
        "name": "hello", "description": null, "prefix": "hello", "kind": "listener", "state": "ready", "reason": null,
        "next_try_at": null, "url": "http://127.0.0.1:14000/hello/", "address": "http://127.0.0.1:15001",
        "module": "hello", "instances": [], "restarts": 0, "ready_since": null, "last_probe": null,
        "memory_limit_mb": 64, "requests": 0, "schedules": 0,
    });
    with(value, more)
}

/// What `service_get` says of it.
pub(crate) fn detail(more: Value) -> Value {
    let spec = json!({ "prefix": "hello", "port": 15001, "memory_limit_mb": 64 });
    json!({ "service": service(more), "file": "/s/hello/config/service.json", "spec": spec, "probes": [], "ends": [] })
}

/// A schedule.
pub(crate) fn schedule(more: Value) -> Value {
    let value = json!({
        "id": "hello/tick", "service": "hello", "endpoint": "/tick", "method": "GET", "when": "every 60 s",
        "paused": false, "running": false, "next_at": null, "last_run": null, "runs": 41, "skipped": 3,
    });
    with(value, more)
}

/// A page with these sessions of the service hello, newest first.
pub(crate) fn sessions(ids: &[&str]) -> Value {
    let session = |id: &&str| {
        json!({
            "session_id": id, "module": "hello", "digest": "sha256:00", "state": "running", "ready": true, "outcome": null,
            "child_pid": 1, "args": [], "labels": { "service": "hello" }, "created_at": 1, "started_at": 1,
            "ended_at": null, "duration_ms": null, "cpu_ms": null, "max_rss_kb": null, "start": "parked",
            "mode": "compiled", "limits": {}, "log_next_seq": 1, "log_dropped": 0,
        })
    };
    json!({ "sessions": ids.iter().map(session).collect::<Vec<_>>(), "next": null })
}
