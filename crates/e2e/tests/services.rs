//! Services as they are declared: what works as it stands, and what is refused without keeping back the others.

use e2e::services::{free_port, spec};
use e2e::{Folder, Setup, Value, json, places};

#[test]
fn the_first_example_works_as_it_stands() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let spec = json!({
        "prefix": "hello", "url": url, "memory_limit_mb": 64,
        "schedules": [{ "endpoint": "/hello", "interval_secs": 60 }]
    });
    let server = Setup::with_services(&[("hello", spec)]).start();
    let service = server.until_service("hello", "ready");
    assert_eq!(service["address"], url);
    assert_eq!(server.text_of("hello", "/health"), "OK");
    assert_eq!(server.text_of("hello", "/hello"), "hello, world\n");
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    let gateway = server.call("service_list", json!({}))["gateway"].clone();
    assert_eq!(service["url"], format!("{}/hello/", gateway.as_str().unwrap()));

    let session = server.info(service["instances"][0]["session_id"].as_str().unwrap());
    assert_eq!(session["limits"]["memory_limit_mb"], 64, "{session:#}");
    assert_eq!(session["limits"].get("timeout_ms"), None, "it may run for ever: {session:#}");
    assert_eq!((&session["module"], &session["labels"]["service"]), (&json!("hello"), &json!("hello")));
    assert_eq!(session["child_pid"], service["instances"][0]["pid"]);

    let schedules = server.call("schedule_list", json!({ "service": "hello" }));
    let schedule = &schedules["schedules"][0];
    assert_eq!((&schedule["id"], &schedule["when"]), (&json!("hello/hello"), &json!("every 60 s")));
    assert!(schedule["next_at"].as_u64() > service["ready_since"].as_u64(), "{schedule:#}");

    let detail = server.service_detail("hello");
    assert_eq!(
        (&detail["spec"]["kind"], &detail["spec"]["health"]["path"]),
        (&json!("listener"), &json!("/health"))
    );
    assert!(detail["probes"][0]["at"].as_u64() <= detail["service"]["ready_since"].as_u64());
    assert!(detail["ends"].as_array().unwrap().is_empty());
    assert!(server.problems().is_empty());
}

/// A service of the guest `hello`, with this more in its declaration.
fn hello(prefix: &str, more: Value) -> Value {
    let mut rest = json!({ "module": "hello" });
    for (key, value) in more.as_object().into_iter().flatten() {
        rest[key] = value.clone();
    }
    spec(prefix, rest)
}

#[test]
fn what_is_refused_is_listed_with_its_key_and_keeps_no_other_back() {
    let port = free_port();
    let rows = [
        ("hello", hello("hello", json!({ "port": port })), None),
        (
            "same_prefix",
            hello("hello", json!({})),
            Some("prefix: \"hello\" is the prefix of service \"hello\""),
        ),
        ("same_port", hello("same_port", json!({ "port": port })), Some("port: port ")),
        (
            "same_url",
            hello("same_url", json!({ "url": format!("http://127.0.0.1:{port}") })),
            Some("url: port "),
        ),
        (
            "unknown",
            hello("unknown", json!({ "memroy_limit_mb": 64 })),
            Some("memroy_limit_mb: unknown field"),
        ),
        ("nested", hello("nested", json!({ "health": { "pth": "/" } })), Some("health.pth: unknown field")),
        (
            "wrong_type",
            hello("wrong", json!({ "memory_limit_mb": "64" })),
            Some("memory_limit_mb: invalid type"),
        ),
        (
            "unmet",
            hello("unmet", json!({ "requires": ["nobody"] })),
            Some("requires: there is no service \"nobody\""),
        ),
        ("far", hello("far", json!({ "url": "http://192.0.2.1:80" })), Some("url: ")),
        ("up", hello("a/../b", json!({})), Some("prefix: ")),
        ("panel", hello("-/panel", json!({})), Some("prefix: ")),
        (
            "schedule",
            hello("s", json!({ "schedules": [{ "endpoint": "/" }] })),
            Some("schedules[0].interval_secs: "),
        ),
        (
            "network",
            hello("n", json!({ "permissions": { "net": ["example.org"] } })),
            Some("permissions.net[0]: "),
        ),
        (
            "handler",
            hello("h", json!({ "kind": "handler", "idle_timeout_secs": 1 })),
            Some("idle_timeout_secs: "),
        ),
        ("later", hello("later", json!({ "requires": ["hello"] })), None),
    ];
    let services: Vec<_> = rows.iter().map(|(name, spec, _)| (*name, spec.clone())).collect();
    let server = Setup::with_services(&services).start();
    for (name, _, wrong) in &rows {
        match wrong {
            None => assert_eq!(server.until_service(name, "ready")["state"], "ready"),
            Some(wrong) => {
                let problem = server.problem(name);
                assert!(problem.starts_with(wrong), "{name}: {problem}");
                let refusal = server.refusal("service_get", json!({ "name": name }));
                assert_eq!(refusal["data"]["code_name"], "service_not_found");
                assert!(refusal["message"].as_str().unwrap().contains("was refused"), "{refusal:#}");
            }
        }
    }
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    assert_eq!(server.problems().len(), rows.iter().filter(|row| row.2.is_some()).count());

    // A problem goes with what caused it.
    server.declare("unknown", hello("known", json!({})));
    let _ = server.call("service_reload", json!({}));
    server.until_service("unknown", "ready");
    server.declare("wrong_type", "{ \"prefix\": ");
    let refusal = server.refusal("service_reload", json!({ "name": "wrong_type" }));
    assert_eq!(refusal["data"]["code_name"], "service_invalid");
    assert!(server.problem("wrong_type").contains("EOF"), "{refusal:#}");
}

#[test]
fn what_cannot_start_says_why_and_starts_when_it_can() {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let services = [
        ("hello", hello("hello", json!({}))),
        ("missing", json!({ "prefix": "missing", "port": "auto", "module": "not_there" })),
        ("absent", json!({ "prefix": "absent", "kind": "handler", "module": "not_there_either" })),
        (
            "taken",
            hello(
                "taken",
                json!({ "port": port.local_addr().unwrap().port(), "restart": { "intensity": 1000 } }),
            ),
        ),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("hello", "ready");
    for (name, module) in [("missing", "not_there"), ("absent", "not_there_either")] {
        let failed = server.until_service(name, "failed");
        assert!(failed["reason"].as_str().unwrap().contains(module), "{failed:#}");
        let reply = server.via(&format!("/{name}/"));
        assert_eq!(reply.status, 503);
        assert_eq!(reply.json()["error"]["service"], name);
    }
    let backoff = server.until_service("taken", "backoff");
    assert!(backoff["reason"].as_str().unwrap().contains("another program has port"), "{backoff:#}");
    assert!(backoff["next_try_at"].is_u64());
    drop(port);
    server.until_service("taken", "ready");
    assert_eq!(server.text_of("taken", "/hello"), "hello, world\n");

    // What was missing is there now: a reload is enough, and so is a start.
    server.put_guest("not_there", "hello");
    server.put_guest("not_there_either", "cgi_echo");
    let _ = server.call("service_reload", json!({}));
    server.order("service_start", "missing");
    server.until_service("missing", "ready");
    server.order("service_start", "absent");
    server.until_service("absent", "ready");
    assert_eq!(server.text_via("/absent/"), "hello from a handler\n");
}

#[test]
fn a_declaration_gives_environment_arguments_and_folders() {
    // Its own folder is where relative paths begin.
    let folder = Folder::new();
    let own = folder.path().join("services/cgi_echo");
    std::fs::create_dir_all(own.join("config")).unwrap();
    std::fs::create_dir(own.join("data")).unwrap();
    let spec = json!({
        "prefix": "cgi", "kind": "handler", "env": { "GREETING": "hi", "PORT": "1" }, "dirs": [{ "host": "data" }]
    });
    std::fs::write(own.join("config/service.json"), spec.to_string()).unwrap();
    let guest = places::guest("cgi_echo");
    std::fs::copy(guest, folder.path().join("services/cgi_echo.wasm")).unwrap();
    let services = folder.path().join("services");
    let setup = Setup::new().set("services", true).set("gateway_listen", "127.0.0.1:0").services(services);
    let server = setup.start_in(folder);
    server.until_service("cgi_echo", "ready");
    let variables: Value = serde_json::from_str(&server.text_via("/cgi/env")).unwrap();
    assert_eq!((&variables["GREETING"], &variables["PORT"]), (&json!("hi"), &json!("1")));
    let detail = server.service_detail("cgi_echo");
    let host = detail["spec"]["dirs"][0]["host"].as_str().unwrap();
    assert!(host.ends_with("cgi_echo/data") && host.starts_with('/'), "{detail:#}");
}

#[test]
fn services_that_are_switched_off_wait_for_somebody() {
    let services = [("hello", hello("hello", json!({}))), ("off", hello("off", json!({ "enabled": false })))];
    let server = Setup::with_services(&services).start();
    server.until_service("hello", "ready");
    let off = server.until_service("off", "stopped");
    assert!(off["instances"].as_array().unwrap().is_empty() && off["address"].is_null(), "{off:#}");
    assert_eq!(server.via("/off/hello").status, 503);
    server.order("service_start", "off");
    server.until_service("off", "ready");
    assert_eq!(server.text_via("/off/hello"), "hello, world\n");
}

#[test]
fn a_server_without_services_lists_them_and_starts_none() {
    let server = Setup::with_services(&[("hello", hello("hello", json!({})))]).set("services", false).start();
    let hello = server.service("hello");
    assert_eq!((&hello["state"], &hello["instances"]), (&json!("stopped"), &json!([])));
    assert_eq!(server.via("/hello/hello").status, 503);
    assert!(server.running_of("hello").is_empty());
    assert_eq!(server.refusal_name("service_start", json!({ "name": "nobody" })), "service_not_found");
}
