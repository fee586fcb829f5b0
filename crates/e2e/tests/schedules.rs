//! Schedules: called when they are due, told about, paused, never two at once unless asked for.

use std::collections::BTreeSet;

use e2e::services::spec;
use e2e::{Server, Setup, Value, eventually, json};

/// A server with the service `clock`, which has these schedules.
fn clock(schedules: Value) -> Server {
    let clock = spec("clock", json!({ "module": "clock", "schedules": schedules }));
    let server = Setup::with_services(&[("clock", clock)]).start();
    server.until_service("clock", "ready");
    server
}

fn shown(server: &Server, id: &str) -> Value {
    let list = server.call("schedule_list", json!({ "service": "clock" }));
    let all = list["schedules"].as_array().expect("a list of schedules");
    all.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("there is no {id}: {list:#}")).clone()
}

/// The last calls of a schedule, oldest first.
fn history(server: &Server, id: &str) -> Vec<Value> {
    let list = server.call("schedule_list", json!({ "history": 50 }));
    list["history"][id].as_array().cloned().unwrap_or_default()
}

fn until_runs(server: &Server, id: &str, runs: u64) -> Value {
    eventually(&format!("{id} was called {runs} times"), || {
        let shown = shown(server, id);
        (shown["runs"].as_u64()? >= runs && shown["last_run"].is_object()).then_some(shown)
    })
}

fn count(server: &Server) -> u64 {
    let answer: Value = serde_json::from_str(&server.text_via("/clock/count")).expect("a count is JSON");
    answer["count"].as_u64().expect("a count is a number")
}

#[test]
fn one_that_is_due_is_called_and_what_came_of_it_is_told() {
    let server = clock(json!([
        { "endpoint": "/tick", "interval_secs": 1 },
        { "name": "fails", "endpoint": "/fail", "interval_secs": 1 },
        { "name": "post", "endpoint": "/echo?a=b", "interval_secs": 1, "method": "POST",
          "headers": { "x-token": "secret" }, "body": "the body" },
        { "name": "late", "endpoint": "/slow?ms=5000", "interval_secs": 1, "timeout_ms": 50 },
        { "name": "big", "endpoint": "/big?bytes=100000", "interval_secs": 1 },
        { "name": "yearly", "endpoint": "/tick", "cron": "0 0 1 1 *", "timezone": "Europe/Brussels" }
    ]));
    let tick = until_runs(&server, "clock/tick", 2);
    // A call counts from its beginning on.
    eventually("it was called twice", || (count(&server) >= 2).then_some(()));
    let run = &tick["last_run"];
    assert_eq!((&run["status"], &run["error"], &run["manual"]), (&json!(200), &Value::Null, &json!(false)));
    assert!(run["body_head"].as_str().unwrap().starts_with("{\"count\":"), "{run:#}");
    assert_eq!((&tick["when"], &tick["method"]), (&json!("every 1 s"), &json!("GET")));
    assert!(tick["next_at"].as_u64() > run["at"].as_u64());

    let fails = until_runs(&server, "clock/fails", 1);
    assert_eq!(fails["last_run"]["status"], 500);
    assert_eq!(fails["last_run"]["body_head"], "asked to fail\n");
    let post: Value =
        serde_json::from_str(until_runs(&server, "clock/post", 1)["last_run"]["body_head"].as_str().unwrap())
            .unwrap();
    assert_eq!(
        (&post["method"], &post["path"], &post["query"]),
        (&json!("POST"), &json!("/echo"), &json!("a=b"))
    );
    assert_eq!((&post["body"], &post["headers"]["x-token"]), (&json!("the body"), &json!("secret")));
    assert_eq!(post["headers"]["x-hero-schedule"], "clock/post");
    assert!(post["headers"]["user-agent"].as_str().unwrap().starts_with("hero_runner-schedule/"));
    let late = until_runs(&server, "clock/late", 1);
    assert!(late["last_run"]["status"].is_null(), "{late:#}");
    assert!(late["last_run"]["error"].as_str().unwrap().contains("50 ms"), "{late:#}");
    let big = until_runs(&server, "clock/big", 1);
    assert_eq!(big["last_run"]["body_head"].as_str().map(str::len), Some(1024));
    let yearly = shown(&server, "clock/yearly");
    assert_eq!((&yearly["when"], &yearly["runs"]), (&json!("0 0 1 1 * (Europe/Brussels)"), &json!(0)));
    assert!(yearly["next_at"].is_u64());

    // The history has them all, once each.
    let calls = history(&server, "clock/tick");
    let at: BTreeSet<u64> = calls.iter().map(|run| run["at"].as_u64().unwrap()).collect();
    assert_eq!(at.len(), calls.len(), "{calls:#?}");
    assert!(!calls.is_empty() && calls.iter().all(|run| run["status"] == 200));
    assert_eq!(server.service("clock")["schedules"], 6);
}

#[test]
fn one_that_is_paused_rests_until_it_is_resumed_also_after_a_restart() {
    let mut server = clock(json!([{ "endpoint": "/tick", "interval_secs": 1 }]));
    until_runs(&server, "clock/tick", 1);
    let paused = server.call("schedule_pause", json!({ "id": "clock/tick" }));
    assert_eq!((&paused["paused"], &paused["next_at"]), (&json!(true), &Value::Null));
    let before = count(&server);
    // It can still be called by hand.
    let run = server.call("schedule_run_now", json!({ "id": "clock/tick" }));
    assert_eq!((&run["status"], &run["manual"]), (&json!(200), &json!(true)));
    assert_eq!(count(&server), before + 1);
    server.kill();
    server.start_again();
    server.until_service("clock", "ready");
    let paused = shown(&server, "clock/tick");
    assert_eq!((&paused["paused"], &paused["next_at"]), (&json!(true), &Value::Null));
    assert_eq!(paused["last_run"]["status"], 200, "the last call is remembered: {paused:#}");
    let resumed = server.call("schedule_resume", json!({ "id": "clock/tick" }));
    assert_eq!(resumed["paused"], false);
    assert!(resumed["next_at"].is_u64());
    assert_eq!(count(&server), 0, "nothing was made up for");
    until_runs(&server, "clock/tick", 1);
    assert!(server.stop().success());
    server.start_again();
    server.until_service("clock", "ready");
    assert_eq!(shown(&server, "clock/tick")["paused"], false);
}

#[test]
fn one_that_is_slower_than_its_interval_is_left_out_or_waits() {
    let server = clock(json!([
        { "name": "skip", "endpoint": "/slow?ms=1100", "interval_secs": 1 },
        { "name": "queue", "endpoint": "/slow?ms=1101", "interval_secs": 1, "overlap": "queue" }
    ]));
    let skip = eventually("calls were left out", || {
        let service = server.service("clock");
        let under_way = service["instances"][0]["requests"].as_u64()?;
        assert!(under_way <= 2, "more than one call of a schedule is under way: {service:#}");
        let skip = shown(&server, "clock/skip");
        (skip["skipped"].as_u64()? >= 1 && skip["last_run"].is_object()).then_some(skip)
    });
    assert_eq!(skip["last_run"]["status"], 200);
    until_runs(&server, "clock/queue", 2);
    for id in ["clock/skip", "clock/queue"] {
        let calls = history(&server, id);
        for pair in calls.windows(2) {
            let end = pair[0]["at"].as_u64().unwrap() + pair[0]["duration_ms"].as_u64().unwrap();
            // Both are cut to milliseconds.
            assert!(pair[1]["at"].as_u64().unwrap() + 2 >= end, "two at once: {pair:#?}");
        }
    }
    // Whoever asks while one is under way hears so, or waits for its turn.
    let busy =
        |id: &str| eventually("it is under way", || shown(&server, id)["running"].as_bool()?.then_some(()));
    busy("clock/skip");
    let refused = server.rpc("schedule_run_now", json!({ "id": "clock/skip" }));
    let code = &refused["error"]["data"]["code_name"];
    assert!(code == "invalid_state" || refused["result"]["status"] == 200, "{refused:#}");
    busy("clock/queue");
    assert_eq!(server.call("schedule_run_now", json!({ "id": "clock/queue" }))["status"], 200);
}

#[test]
fn one_of_a_service_that_does_not_run_rests_and_unknown_ones_are_told() {
    let server = clock(json!([{ "endpoint": "/tick", "interval_secs": 1 }]));
    for method in ["schedule_pause", "schedule_resume", "schedule_run_now"] {
        assert_eq!(server.refusal_name(method, json!({ "id": "clock/nothing" })), "schedule_not_found");
    }
    let nobody = server.call("schedule_list", json!({ "service": "nobody" }));
    assert_eq!(nobody["schedules"], json!([]));
    server.order("service_stop", "clock");
    assert!(shown(&server, "clock/tick")["next_at"].is_null());
    assert_eq!(server.refusal_name("schedule_run_now", json!({ "id": "clock/tick" })), "invalid_state");
    let runs = shown(&server, "clock/tick")["runs"].clone();
    server.order("service_start", "clock");
    server.until_service("clock", "ready");
    assert!(shown(&server, "clock/tick")["next_at"].is_u64());
    until_runs(&server, "clock/tick", runs.as_u64().unwrap() + 1);
    // What is declared no more is gone, and what changed begins anew.
    let schedules = json!([{ "name": "other", "endpoint": "/tick", "interval_secs": 1 }]);
    server.declare("clock", spec("clock", json!({ "module": "clock", "schedules": schedules })));
    let _ = server.call("service_reload", json!({}));
    assert_eq!(server.refusal_name("schedule_run_now", json!({ "id": "clock/tick" })), "schedule_not_found");
    until_runs(&server, "clock/other", 1);
}

#[test]
fn a_call_of_a_service_that_fails_says_so() {
    let crashy = json!({
        "module": "crashy", "env": { "CRASH": "at_once" }, "restart": { "intensity": 0 },
        "schedules": [{ "endpoint": "/hello", "interval_secs": 3600 }]
    });
    let hello = json!({ "module": "hello", "idle_timeout_secs": 1, "schedules": [{ "endpoint": "/hello", "interval_secs": 3600 }] });
    let cgi = json!({
        "module": "cgi_echo", "kind": "handler",
        "schedules": [{ "endpoint": "/trap", "interval_secs": 3600 }, { "endpoint": "/count", "interval_secs": 3600 }]
    });
    let services =
        [("crashy", spec("crashy", crashy)), ("hello", spec("hello", hello)), ("cgi", spec("cgi", cgi))];
    let server = Setup::with_services(&services).start();
    server.until_service("crashy", "failed");
    let run = server.call("schedule_run_now", json!({ "id": "crashy/hello" }));
    assert_eq!(run["status"], 503, "{run:#}");
    assert!(run["body_head"].as_str().unwrap().contains("exited with code 3"), "{run:#}");
    for (id, status, body) in [("cgi/trap", 502, "trapped"), ("cgi/count", 200, "1\n")] {
        let run = server.call("schedule_run_now", json!({ "id": id }));
        assert_eq!(run["status"], status, "{run:#}");
        assert!(run["body_head"].as_str().unwrap().contains(body), "{run:#}");
    }
    server.until_service("hello", "idle");
    let run = server.call("schedule_run_now", json!({ "id": "hello/hello" }));
    assert_eq!((&run["status"], &run["body_head"]), (&json!(200), &json!("hello, world\n")), "it is woken");
}
