//! Services that are told to stop, start, restart, go; that rest; that have several processes.

use e2e::services::{get, spec};
use e2e::{Setup, Value, ask, eventually, json, signal_to};
use nix::sys::signal::Signal::SIGKILL;

#[test]
fn stop_start_restart_and_remove_do_what_they_say() {
    let server = Setup::with_services(&[("hello", spec("hello", json!({ "module": "hello" })))]).start();
    let first = server.until_service("hello", "ready");
    let (session, door) = (server.service_session("hello"), server.door_of("hello"));

    let stopped = server.order("service_stop", "hello");
    assert_eq!((&stopped["state"], &stopped["instances"]), (&json!("stopped"), &json!([])));
    assert!(stopped["reason"].as_str().unwrap().contains("by request") && stopped["address"].is_null());
    assert_eq!(server.info(&session)["state"], "cancelled");
    assert!(ask(&door, "/hello", "").unwrap_err().contains("refused"), "its port is free");
    let reply = server.via("/hello/hello");
    assert_eq!((reply.status, &reply.json()["error"]["service"]), (503, &json!("hello")));
    assert_eq!(server.order("service_stop", "hello")["state"], "stopped", "twice is no error");

    server.order("service_start", "hello");
    let started = server.until_service("hello", "ready");
    assert_eq!(started["restarts"], 0, "it did not end by itself: {started:#}");
    let second = server.service_session("hello");
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    let again = server.order("service_start", "hello");
    assert_eq!(again["instances"][0]["session_id"], second, "it runs already");

    let restarted = server.order("service_restart", "hello");
    assert_eq!((&restarted["state"], &restarted["restarts"]), (&json!("ready"), &json!(0)));
    assert_ne!(restarted["instances"][0]["session_id"], second);
    assert_eq!(restarted["instances"].as_array().unwrap().len(), 1);
    eventually("the one of before is gone", || (server.info(&second)["state"] == "cancelled").then_some(()));
    assert_eq!(server.text_of("hello", "/hello"), "hello, world\n");
    server.order("service_stop", "hello");
    server.order("service_restart", "hello");
    server.until_service("hello", "ready");

    assert!(server.services_dir().join("hello").is_dir());
    assert_eq!(server.order("service_remove", "hello"), json!({ "ok": true }));
    assert_eq!(server.refusal_name("service_get", json!({ "name": "hello" })), "service_not_found");
    assert!(
        !server.services_dir().join("hello").exists() && server.services_dir().join("hello.wasm").is_file()
    );
    assert_eq!(server.via("/hello/hello").status, 404);
    assert!(server.running_of("hello").is_empty());
    assert_eq!(server.call("schedule_list", json!({}))["schedules"], json!([]));
    drop(first);
}

#[test]
fn what_is_removed_frees_its_prefix_for_who_waited_for_it() {
    let services = [
        ("first", spec("same", json!({ "module": "hello" }))),
        ("second", spec("same", json!({ "module": "crashy" }))),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("first", "ready");
    assert!(server.problem("second").starts_with("prefix: "));
    let _ = server.order("service_remove", "first");
    server.until_service("second", "ready");
    assert!(server.problems().is_empty());
    assert_eq!(server.text_via("/same/hello"), "hello from crashy\n");
}

#[test]
fn two_processes_share_the_requests_and_one_that_ends_takes_only_its_own() {
    let clock = json!({ "module": "clock", "instances": 2 });
    let server = Setup::with_services(&[("clock", spec("clock", clock))]).start();
    let both = eventually("both are ready", || {
        let service = server.service("clock");
        let ready = service["instances"].as_array()?.iter().filter(|one| one["ready"] == true).count();
        (ready == 2).then_some(service)
    });
    // Two requests at a time go to two processes: each of them counts to itself.
    let door = server.gateway();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| get(&door, "/clock/slow?ms=1000").text());
        eventually("one is under way", || (under_way(&server.service("clock")) == 1).then_some(()));
        let busy = server.service("clock");
        for _ in 0..3 {
            let _ = server.text_via("/clock/tick");
        }
        let idle = busy["instances"].as_array().unwrap().iter().position(|one| one["requests"] == 0);
        assert!(idle.is_some(), "{busy:#}");
        assert_eq!(slow.join().expect("it is answered"), "after 1000 ms\n");
    });
    assert_eq!(server.service("clock")["requests"], 4);

    signal_to(both["instances"][0]["pid"].as_u64().unwrap() as u32, SIGKILL);
    let dead = &both["instances"][0]["session_id"];
    let back = eventually("there are two again", || {
        let service = server.service("clock");
        let all = service["instances"].as_array()?;
        let fine = all.len() == 2 && all.iter().all(|one| one["ready"] == true && one["session_id"] != *dead);
        fine.then_some(service.clone())
    });
    assert_eq!(back["restarts"], 1);
    let kept = &both["instances"][1]["session_id"];
    assert!(back["instances"].as_array().unwrap().iter().any(|one| one["session_id"] == *kept), "{back:#}");
    server.declare("clock", spec("clock", json!({ "module": "clock", "instances": 3 })));
    let list = server.call("service_reload", json!({ "name": "clock" }));
    assert_eq!(list["services"][0]["instances"].as_array().map(Vec::len), Some(3));
    assert_eq!(server.text_via("/clock/slow?ms=1"), "after 1 ms\n");
}

fn under_way(service: &Value) -> u64 {
    let all = service["instances"].as_array();
    all.into_iter().flatten().filter_map(|one| one["requests"].as_u64()).sum()
}

#[test]
fn one_that_nobody_asks_rests_and_the_next_request_wakes_it() {
    let services = [("hello", spec("hello", json!({ "module": "hello", "idle_timeout_secs": 1 })))];
    let server = Setup::with_services(&services).start();
    let mut service = server.until_service("hello", "ready");
    let address = service["address"].clone();
    let asks: [&dyn Fn() -> String; 2] =
        [&|| server.text_via("/hello/hello"), &|| server.text_of("hello", "/hello")];
    for ask in asks {
        let pid = service["instances"][0]["pid"].as_u64().unwrap() as u32;
        let idle = server.until_service("hello", "idle");
        assert_eq!((&idle["instances"], &idle["address"]), (&json!([]), &address));
        assert!(e2e::census::process(pid).is_none(), "it has no process");
        assert!(server.running_of("hello").is_empty());
        assert_eq!(ask(), "hello, world\n");
        service = server.until_service("hello", "ready");
        assert_eq!(service["restarts"], 0);
    }
}

#[test]
fn one_that_rests_does_not_keep_back_who_requires_it() {
    let services = [
        ("rests", spec("rests", json!({ "module": "hello", "idle_timeout_secs": 1 }))),
        ("needs", spec("needs", json!({ "module": "hello", "requires": ["rests"], "enabled": false }))),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("rests", "idle");
    server.order("service_start", "needs");
    server.until_service("needs", "ready");
}

#[test]
fn one_that_rests_starts_when_somebody_says_so() {
    let services = [("hello", spec("hello", json!({ "module": "hello", "idle_timeout_secs": 1 })))];
    let server = Setup::with_services(&services).start();
    for order in ["service_start", "service_restart"] {
        server.until_service("hello", "idle");
        server.order(order, "hello");
        server.until_service("hello", "ready");
    }
    server.until_service("hello", "idle");
    server.order("service_stop", "hello");
    assert_eq!(server.service("hello")["state"], "stopped");
    assert_eq!(server.via("/hello/hello").status, 503, "one that was stopped is not woken");
}

#[test]
fn one_whose_client_keeps_its_connection_does_not_rest_in_the_middle_of_a_request() {
    let services = [("clock", spec("clock", json!({ "module": "clock", "idle_timeout_secs": 1 })))];
    let server = Setup::with_services(&services).start();
    server.until_service("clock", "ready");
    assert_eq!(server.text_via("/clock/slow?ms=1800"), "after 1800 ms\n");
}

#[test]
fn one_that_is_asked_straight_does_not_rest_either() {
    let services = [("clock", spec("clock", json!({ "module": "clock", "idle_timeout_secs": 1 })))];
    let server = Setup::with_services(&services).start();
    server.until_service("clock", "ready");
    assert_eq!(server.text_of("clock", "/slow?ms=1800"), "after 1800 ms\n");
}
