//! Governing a running server: its settings, its drain, its log, and what it stops.

use std::process::{Output, Stdio};

use e2e::{Server, Setup, Value, eventually, json, services, signal_to};
use nix::sys::signal::Signal;

fn cli(server: &Server, args: &[&str]) -> Output {
    server.cli(args).stdin(Stdio::null()).output().expect("the command line can be run")
}

/// What a successful command prints.
fn printed(server: &Server, args: &[&str]) -> String {
    let output = cli(server, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

fn ticker(labels: &Value) -> Value {
    json!({ "module": "ticker", "args": ["100000", "20"], "labels": labels })
}

#[test]
fn every_setting_is_told_with_its_source_and_no_secret() {
    let folder = e2e::Folder::new();
    let file = folder.path().join("own.toml");
    std::fs::write(&file, "spare_max = 9\nspare_min = 3\nupload_token = \"a-secret-of-the-file\"\n").unwrap();
    let setup =
        Setup::new().env("HERO_RUNNER_CONFIG", file.display()).set("spare_min", 4).flag("--ring-lines=77");
    let server = setup.start_in(folder);
    let reply = server.call("server_settings", json!({}));
    assert_eq!(reply["config_file"], file.to_str().unwrap());
    let settings = reply["settings"].as_array().unwrap();
    assert!(settings.len() > 40);
    let setting = |key: &str| settings.iter().find(|setting| setting["key"] == key).unwrap();
    for (key, value, source, origin) in [
        ("spare_max", json!(9), "file", json!(file.to_str().unwrap())),
        ("spare_min", json!(4), "environment", json!("HERO_RUNNER_SPARE_MIN")),
        ("ring_lines", json!(77), "flag", json!("--ring-lines")),
        ("max_sessions", json!(256), "default", Value::Null),
        ("upload_token", json!("***"), "file", json!(file.to_str().unwrap())),
    ] {
        let found = setting(key);
        assert_eq!(
            (&found["value"], &found["source"], &found["origin"]),
            (&value, &json!(source), &origin),
            "{key}"
        );
    }
    assert_eq!(setting("max_sessions")["description"], "Sessions that may run at once.");
    assert!(!reply.to_string().contains("a-secret"));

    let table = printed(&server, &["settings"]);
    let row = table.lines().find(|line| line.starts_with("spare_min ")).unwrap();
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        ["spare_min", "4", "environment", "HERO_RUNNER_SPARE_MIN"]
    );
    let same: Value = serde_json::from_str(&printed(&server, &["settings", "-o", "json"])).unwrap();
    assert_eq!(same, reply);
    assert_eq!(server.refusal_name("server_settings", json!({ "key": "spare_min" })), "invalid_params");
}

#[test]
fn a_drained_server_takes_nothing_new_and_finishes_what_it_has() {
    let server = Server::start();
    let running = server.session(json!({ "module": "ticker", "args": ["100", "20"] }));
    assert_eq!(server.stats()["draining"], false);
    let drained = server.call("server_drain", json!({ "on": true }));
    assert_eq!(drained, json!({ "draining": true, "running": 1 }));
    assert_eq!(server.stats()["draining"], true);
    let health = server.call("health", json!({}));
    assert_eq!(health["status"], "degraded");
    assert!(health["reasons"][0].as_str().unwrap().contains("drained"), "{health}");
    let refusal = server.refusal("session_start", json!({ "module": "hello" }));
    assert_eq!(refusal["data"]["code_name"], "draining");
    assert_eq!(refusal["data"]["retryable"], true);
    // What runs goes on to its end, and draining twice is no error.
    assert_eq!(server.wait(&running)["success"], true);
    let drained = server.call("server_drain", json!({ "on": true }));
    assert_eq!(drained, json!({ "draining": true, "running": 0 }));

    assert_eq!(printed(&server, &["drain", "--off"]), "new sessions are taken\n");
    assert_eq!(server.run(json!({ "module": "hello" }))["stdout"], "hello, world\n");
    assert_eq!(server.call("health", json!({}))["status"], "ok");
    assert!(printed(&server, &["drain"]).starts_with("drained"));
    assert!(printed(&server, &["stats"]).contains("drained    new sessions are refused\n"));
    let output = cli(&server, &["run", "hello"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("drain --off"), "{output:?}");
    for wrong in [json!({}), json!({ "on": "yes" }), json!({ "on": true, "off": false })] {
        assert_eq!(server.refusal_name("server_drain", wrong), "invalid_params");
    }
}

#[test]
fn a_drain_leaves_services_alone() {
    let server = Setup::with_services(&[("clock", services::spec("clock", json!({})))]).start();
    let first = server.until_service("clock", "ready");
    assert_eq!(server.call("server_drain", json!({ "on": true })), json!({ "draining": true, "running": 0 }));
    // One that dies is started again.
    let pid = first["instances"][0]["pid"].as_u64().unwrap();
    signal_to(pid.try_into().unwrap(), Signal::SIGKILL);
    server.until_other("clock", first["instances"][0]["session_id"].as_str().unwrap());
    let detail = server.service_detail("clock");
    assert!(!detail["probes"].as_array().unwrap().is_empty());
    assert!(detail["ends"][0]["reason"].as_str().unwrap().contains("killed"), "{detail}");
}

#[test]
fn all_sessions_are_stopped_and_those_that_wait_never_run() {
    let server = Setup::new().set("max_sessions", 2).start();
    let ids: Vec<String> = (0..4).map(|_| server.session(ticker(&json!({})))).collect();
    assert_eq!(server.call("session_stop_all", json!({ "grace_ms": 0 })), json!({ "stopped": 4 }));
    for (at, id) in ids.iter().enumerate() {
        let info = server.info(id);
        assert_eq!(info["state"], "cancelled", "{info}");
        assert_eq!(info["started_at"].is_null(), at >= 2, "{info}");
    }
    assert_eq!(server.call("session_stop_all", json!({})), json!({ "stopped": 0 }));
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);
}

#[test]
fn only_the_sessions_that_are_meant_are_stopped() {
    let server = Server::start();
    let a = server.session(ticker(&json!({ "team": "a" })));
    let b = server.session(ticker(&json!({ "team": "b" })));
    let spin = server.session(json!({ "module": "faulty_spin", "labels": { "team": "a" } }));
    let state = |id: &str| server.info(id)["state"].clone();
    let stop = |request: Value| server.call("session_stop_all", request)["stopped"].clone();
    assert_eq!(stop(json!({ "module": "nothing" })), 0);
    assert_eq!(stop(json!({ "module": "ticker", "label": "team=a", "grace_ms": 0 })), 1);
    assert_eq!(
        (state(&a), state(&b), state(&spin)),
        (json!("cancelled"), json!("running"), json!("running"))
    );
    assert_eq!(stop(json!({ "module": "faulty_spin", "grace_ms": 0 })), 1);
    assert_eq!(state(&b), "running");
    assert_eq!(printed(&server, &["stop", "--all", "--label", "team", "--grace", "0s"]), "1 stopped\n");
    assert_eq!(state(&b), "cancelled");
    assert_eq!(printed(&server, &["stop", "--all", "-o", "json"]), "{\n  \"stopped\": 0\n}\n");
    for wrong in [&["stop"][..], &["stop", "--module", "ticker"], &["stop", "--all", "ses-1"]] {
        assert_eq!(cli(&server, wrong).status.code(), Some(2), "{wrong:?}");
    }
    for wrong in [json!({ "grace_ms": -1 }), json!({ "labels": "team" }), json!({ "module": 7 })] {
        assert_eq!(server.refusal_name("session_stop_all", wrong), "invalid_params");
    }
}

#[test]
fn stopping_all_leaves_services_running() {
    let server = Setup::with_services(&[("clock", services::spec("clock", json!({})))]).start();
    let before = server.until_service("clock", "ready");
    let own = server.session(json!({ "module": "clock", "stdin_open": true }));
    let _ = server.call("session_stop_all", json!({ "grace_ms": 0 }));
    assert_ne!(server.info(&own)["state"], "running");
    assert_eq!(server.service("clock")["instances"][0]["session_id"], before["instances"][0]["session_id"]);
}

#[test]
fn the_log_level_changes_while_the_server_runs() {
    let server = Setup::new().set("log_level", "warn").start();
    let level = |request: Value| server.call("log_level", request)["level"].clone();
    let drains = || server.log().lines().filter(|line| line.contains("drain")).count();
    let toggle = |on: bool| drop(server.call("server_drain", json!({ "on": on })));
    assert_eq!(level(json!({})), "warn");
    toggle(true);
    assert_eq!(drains(), 0);
    assert_eq!(level(json!({ "level": "warn,supervisor=info" })), "warn,supervisor=info");
    toggle(false);
    eventually("the change is logged", || (drains() == 1).then_some(()));
    assert_eq!(level(json!({ "level": "error" })), "error");
    toggle(true);
    assert_eq!((drains(), level(json!({}))), (1, json!("error")));
    for wrong in ["loud", "", "info,loud", "supervisor=loud"] {
        let refusal = server.refusal("log_level", json!({ "level": wrong }));
        assert_eq!(refusal["data"]["code_name"], "invalid_params", "{wrong:?}");
        assert!(refusal["message"].as_str().unwrap().contains("level"), "{refusal}");
    }
    assert_eq!(printed(&server, &["log-level"]), "error\n");
    assert_eq!(printed(&server, &["log-level", "debug"]), "debug\n");
    assert_eq!(cli(&server, &["log-level", "loud"]).status.code(), Some(1));
    // Settings that are read again win.
    server.signal(Signal::SIGHUP);
    eventually("the setting holds again", || (level(json!({})) == "warn").then_some(()));
}
