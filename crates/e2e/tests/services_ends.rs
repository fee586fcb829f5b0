//! How services end by themselves, and what becomes of them then.

use std::collections::BTreeSet;

use e2e::services::{get, spec};
use e2e::{Server, Setup, Traffic, Value, ask, eventually, json, signal_to};
use nix::sys::signal::Signal::SIGKILL;

fn reason(service: &Value) -> &str {
    service["reason"].as_str().unwrap_or_default()
}

/// How the session ended of which a service says that it did.
fn outcome(server: &Server, end: &Value) -> Value {
    server.wait(end["session_id"].as_str().expect("an end names its session"))["outcome"].clone()
}

fn pid(service: &Value) -> u32 {
    service["instances"][0]["pid"].as_u64().expect("it has a process") as u32
}

#[test]
fn one_that_ends_at_once_is_started_again_after_growing_waits_until_it_has_failed() {
    let crashy = json!({
        "module": "crashy", "env": { "CRASH": "at_once" },
        "restart": { "intensity": 3, "period_secs": 60, "backoff": { "initial_ms": 250, "max_ms": 10_000 } }
    });
    let hello = spec("hello", json!({ "module": "hello" }));
    let server = Setup::with_services(&[("crashy", spec("crashy", crashy)), ("hello", hello)]).start();
    let mut tries = BTreeSet::new();
    let failed = eventually("it has failed", || {
        let detail = server.service_detail("crashy");
        if detail["service"]["state"] == "backoff" {
            assert!(reason(&detail["service"]).contains("exited with code 3"), "{detail:#}");
            tries.extend(detail["service"]["next_try_at"].as_u64());
        } else {
            assert!(detail["service"]["next_try_at"].is_null(), "{detail:#}");
        }
        (detail["service"]["state"] == "failed").then_some(detail)
    });
    let service = &failed["service"];
    assert!(reason(service).contains("exited with code 3"), "{service:#}");
    assert!(reason(service).contains("3 times in 60 s"), "{service:#}");
    assert_eq!((&service["restarts"], &service["instances"]), (&json!(3), &json!([])));
    let ends = failed["ends"].as_array().unwrap();
    assert_eq!(ends.len(), 4, "{failed:#}");
    assert!(ends.iter().all(|end| outcome(&server, end) == json!({ "kind": "exited", "code": 3 })));
    // Each try that was announced lies so long behind an end, and the next end behind it.
    let ends: Vec<u64> = ends.iter().map(|end| end["at"].as_u64().unwrap()).collect();
    assert!(!tries.is_empty() && tries.len() <= 3, "{tries:?}");
    for try_at in tries {
        let before = ends.iter().rposition(|end| *end < try_at).unwrap();
        assert!(try_at - ends[before] >= 250 << before && try_at <= ends[before + 1], "{try_at} of {ends:?}");
    }
    for (before, pair) in ends.windows(2).enumerate() {
        assert!(pair[1] - pair[0] >= 250 << before, "the waits were not kept: {ends:?}");
    }

    let reply = server.via("/crashy/hello");
    assert_eq!(reply.status, 503);
    let error = reply.json();
    assert!(error["error"]["message"].as_str().unwrap().contains("exited with code 3"), "{error:#}");
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n", "the other one does not care");
    // Whoever starts it by hand gets a whole set of tries.
    server.order("service_start", "crashy");
    server.until_service("crashy", "backoff");
    server.order("service_stop", "crashy");
    assert_eq!(server.service("crashy")["state"], "stopped");
}

#[test]
fn one_that_never_answers_well_fails_and_says_what_the_last_probe_saw() {
    let never = |crash: &str| {
        json!({
            "module": "crashy", "env": { "CRASH": crash }, "restart": { "intensity": 0 },
            "health": { "timeout_ms": 200, "start_period_secs": 1 }
        })
    };
    let services = [
        ("mute", spec("mute", never("mute"))),
        ("sick", spec("sick", never("never_healthy"))),
        ("hello", spec("hello", json!({ "module": "hello" }))),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("hello", "ready");
    for (name, why) in [("sick", "GET /health answered 503"), ("mute", "GET /health: no answer in 200 ms")] {
        let failed = server.until_service(name, "failed");
        assert!(
            reason(&failed).contains("not ready after 1 s") && reason(&failed).contains(why),
            "{failed:#}"
        );
        assert_eq!(failed["last_probe"]["ok"], false, "{failed:#}");
        let detail = server.service_detail(name);
        assert!(detail["ends"][0]["reason"].as_str().unwrap().contains(why), "{detail:#}");
        assert_eq!(outcome(&server, &detail["ends"][0]), json!({ "kind": "cancelled" }));
        assert!(server.running_of(name).is_empty());
    }
    assert_eq!(server.service("hello")["restarts"], 0);
}

#[test]
fn one_that_crashes_on_a_request_is_started_again_and_its_log_is_kept() {
    let services = [
        ("crashy", spec("crashy", json!({ "module": "crashy" }))),
        ("hello", spec("hello", json!({ "module": "hello" }))),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("hello", "ready");
    let before = server.until_service("crashy", "ready");
    let session = server.service_session("crashy");
    let others = Traffic::start(1, &server.gateway(), "/hello/hello", "hello");

    let reply = server.via("/crashy/crash");
    assert_eq!(reply.status, 502);
    let error = reply.json();
    assert_eq!(error["error"]["service"], "crashy", "{error:#}");
    let after = server.until_other("crashy", &session);
    assert_eq!((&after["restarts"], &after["address"]), (&json!(1), &before["address"]));
    let detail = server.service_detail("crashy");
    assert!(detail["ends"][0]["reason"].as_str().unwrap().contains("exited with code 1"), "{detail:#}");
    assert_eq!(detail["ends"][0]["session_id"], session);
    assert_eq!(outcome(&server, &detail["ends"][0]), json!({ "kind": "exited", "code": 1 }));
    assert!(server.lines(&session).iter().any(|line| line["line"] == "crashy: on request"));

    let second = server.service_session("crashy");
    assert!(ask(&server.door_of("crashy"), "/crash", "").is_err(), "straight, the connection breaks");
    server.until_other("crashy", &second);
    assert_eq!(server.text_of("crashy", "/hello"), "hello from crashy\n");
    assert_eq!(server.service("crashy")["restarts"], 2);
    others.flows(1);
    let (bad, _) = others.stop();
    assert!(bad.is_empty(), "the other service was disturbed: {bad:?}");
}

#[test]
fn one_that_is_killed_is_back_and_a_request_meanwhile_waits_for_it() {
    let server = Setup::with_services(&[("hello", spec("hello", json!({ "module": "hello" })))]).start();
    let mut service = server.until_service("hello", "ready");
    let door = server.door_of("hello");
    for round in 1..=3 {
        let session = server.service_session("hello");
        signal_to(pid(&service), SIGKILL);
        assert_eq!(ask(&door, "/hello", "hello, world\n"), Ok(()), "it waited in the queue");
        service = server.until_other("hello", &session);
        assert_eq!(service["restarts"], round);
    }
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    let detail = server.service_detail("hello");
    let killed = json!({ "kind": "killed", "signal": 9 });
    assert!(
        detail["ends"].as_array().unwrap().iter().all(|end| outcome(&server, end) == killed),
        "{detail:#}"
    );
}

#[test]
fn a_request_that_meets_a_process_in_the_moment_of_its_end_is_answered() {
    let restart = json!({ "intensity": 1000, "backoff": { "max_ms": 100 } });
    let services = [("hello", spec("hello", json!({ "module": "hello", "restart": restart })))];
    let server = Setup::with_services(&services).start();
    let mut service = server.until_service("hello", "ready");
    let door = server.gateway();
    for _ in 0..5 {
        let session = server.service_session("hello");
        signal_to(pid(&service), SIGKILL);
        // Nobody may know yet that it is gone; what is certain is that there is an answer.
        for _ in 0..3 {
            let reply = get(&door, "/hello/hello");
            let status = reply.status;
            let text = reply.text();
            assert!(status == 200 && text == "hello, world\n" || status == 502, "{status}: {text}");
        }
        service = server.until_other("hello", &session);
    }
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
}

#[test]
fn one_that_takes_too_much_memory_ends_alone() {
    let leaky = json!({ "module": "leaky", "memory_limit_mb": 32 });
    let greedy = json!({
        "module": "leaky", "memory_limit_mb": 32, "env": { "LEAK_MB_PER_S": "100" }, "restart": { "intensity": 1 }
    });
    let services = [
        ("leaky", spec("leaky", leaky)),
        ("greedy", spec("greedy", greedy)),
        ("hello", spec("hello", json!({ "module": "hello" }))),
    ];
    let server = Setup::with_services(&services).start();
    let hello = server.until_service("hello", "ready");
    server.until_service("leaky", "ready");
    let session = server.service_session("leaky");
    assert_eq!(server.text_of("leaky", "/leak?mb=8"), "8 MB\n", "so much is allowed");
    assert!(ask(&server.door_of("leaky"), "/leak?mb=64", "").is_err());
    let back = server.until_other("leaky", &session);
    assert_eq!(back["restarts"], 1);
    assert!(server.service_detail("leaky")["ends"][0]["reason"].as_str().unwrap().contains("memory limit"));
    assert_eq!(server.wait(&session)["outcome"], json!({ "kind": "memory_limit" }));
    assert_eq!(server.info(&session)["limits"]["memory_limit_mb"], 32);

    let failed = server.until_service("greedy", "failed");
    assert!(reason(&failed).contains("reached its memory limit"), "{failed:#}");
    let ends = server.service_detail("greedy")["ends"].as_array().unwrap().clone();
    assert!(ends.iter().all(|end| outcome(&server, end) == json!({ "kind": "memory_limit" })), "{ends:#?}");
    let after = server.service("hello");
    assert_eq!((&after["instances"], &after["restarts"]), (&hello["instances"], &json!(0)));
}

#[test]
fn one_that_requires_another_waits_for_it() {
    let services = [
        ("a", spec("a", json!({ "module": "hello", "enabled": false }))),
        ("b", spec("b", json!({ "module": "hello", "requires": ["a"] }))),
        ("c", spec("c", json!({ "module": "hello", "requires": ["b", "a"] }))),
    ];
    let server = Setup::with_services(&services).start();
    let waiting = server.until_service("b", "waiting");
    assert!(reason(&waiting).contains("\"a\"") && waiting["instances"] == json!([]), "{waiting:#}");
    assert!(reason(&server.until_service("c", "waiting")).contains("\"b\""));
    server.order("service_start", "a");
    let c = server.until_service("c", "ready");
    let (a, b) = (server.service("a"), server.service("b"));
    let since = |service: &Value| service["ready_since"].as_u64().expect("it is ready");
    assert!(since(&a) <= since(&b) && since(&b) <= since(&c), "{a:#} {b:#} {c:#}");
    assert_eq!(reason(&b), "");
    // One that has started goes on without what it waited for.
    server.order("service_stop", "a");
    assert_eq!(server.text_via("/b/hello"), "hello, world\n");
}
