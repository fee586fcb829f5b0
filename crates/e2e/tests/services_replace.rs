//! Services that are replaced by newer ones, while they are asked.

use std::io::{BufReader, Read, Write};

use e2e::http::{read_head, read_head_from};
use e2e::services::{request, spec};
use e2e::{Server, Setup, Traffic, Value, eventually, json, patience};

/// Reloads one service; the error's text if that fails.
fn reload(server: &Server, name: &str) -> Result<Value, String> {
    let mut reply = server.rpc("service_reload", json!({ "name": name }));
    match reply.get("error") {
        None => Ok(reply["result"].take()),
        Some(error) => Err(error["message"].as_str().unwrap_or_default().to_owned()),
    }
}

#[test]
fn restarts_and_reloads_fail_no_request_through_the_gateway() {
    let hello = |n: u32| spec("hello", json!({ "module": "hello", "env": { "N": n.to_string() } }));
    let cgi = |n: u32| {
        spec("cgi", json!({ "module": "cgi_echo", "kind": "handler", "env": { "N": n.to_string() } }))
    };
    let server = Setup::with_services(&[("hello", hello(0)), ("cgi", cgi(0))]).start();
    server.until_service("hello", "ready");
    server.until_service("cgi", "ready");
    let traffic = Traffic::start(4, &server.gateway(), "/hello/hello", "hello, world\n");
    let handled = Traffic::start(1, &server.gateway(), "/cgi/", "hello from a handler\n");
    for round in 1..=3 {
        traffic.flows(20);
        let before = server.service_session("hello");
        // A POST is never sent twice, so it must not break.
        let after = std::thread::scope(|scope| {
            let posts = [1, 2].map(|_| {
                scope.spawn(|| {
                    let post = || request(&server.gateway(), "POST", "/hello/hello", &[], b"").status;
                    (0..10).map(|_| post()).collect::<Vec<_>>()
                })
            });
            let after = server.order("service_restart", "hello");
            for post in posts {
                assert_eq!(post.join().expect("it is answered"), [404; 10], "hello's own word");
            }
            after
        });
        assert_ne!(after["instances"][0]["session_id"], before);
        traffic.flows(20);
        let before = server.service_session("hello");
        server.declare("hello", hello(round));
        server.declare("cgi", cgi(round));
        let _ = server.call("service_reload", json!({}));
        assert_ne!(server.service_session("hello"), before);
        handled.flows(2);
    }
    traffic.flows(20);
    let variables: Value = serde_json::from_str(&server.text_via("/cgi/env")).unwrap();
    assert_eq!(variables["N"], "3");
    let (bad, _) = handled.stop();
    assert!(bad.is_empty(), "{bad:?}");
    let (bad, good) = traffic.stop();
    assert!(bad.is_empty(), "{} of {} requests failed: {bad:?}", bad.len(), good + bad.len() as u64);
    eventually("those of before are gone", || (server.running_of("hello").len() == 1).then_some(()));
    assert_eq!(server.service("hello")["restarts"], 0);
}

#[test]
fn who_keeps_a_connection_to_the_gateway_or_sends_slowly_notices_no_restart() {
    let server =
        Setup::with_services(&[("clock", spec("clock", json!({ "module": "clock", "grace_ms": 20_000 })))])
            .start();
    server.until_service("clock", "ready");
    let door = server.gateway();
    let mut kept = door.connect(patience()).unwrap();
    let mut reader = BufReader::new(kept.try_clone().unwrap());
    let mut slow = door.connect(patience()).unwrap();
    let head =
        "POST /clock/echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 9\r\n\r\nfirst";
    slow.write_all(head.as_bytes()).unwrap();
    eventually("it is under way", || {
        (server.service("clock")["instances"][0]["requests"] == 1).then_some(())
    });
    for _ in 0..3 {
        for _ in 0..5 {
            kept.write_all(b"GET /clock/slow?ms=1 HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            let mut reply = read_head_from(reader).unwrap();
            let mut body = [0; 11];
            reply.read_exact(&mut body).unwrap();
            assert_eq!((reply.status, &body), (200, b"after 1 ms\n"));
            reader = reply.into_stream();
        }
        server.order("service_restart", "clock");
    }
    slow.write_all(b"last").unwrap();
    assert_eq!(
        read_head(slow).unwrap().json()["body"],
        "firstlast",
        "the process of before took it to its end"
    );
    eventually("those of before are gone", || (server.running_of("clock").len() == 1).then_some(()));
}

#[test]
fn restarts_refuse_no_connection_on_the_port_itself() {
    let server = Setup::with_services(&[("hello", spec("hello", json!({ "module": "hello" })))]).start();
    server.until_service("hello", "ready");
    let traffic = Traffic::start(4, &server.door_of("hello"), "/hello", "hello, world\n");
    for _ in 0..3 {
        traffic.flows(20);
        server.order("service_restart", "hello");
    }
    traffic.flows(20);
    let (bad, _) = traffic.stop();
    // The server does not see these requests: one that the process of before has just begun may break with it. But the
    // port is never free, and what is not accepted yet is answered by the next process.
    assert!(bad.len() <= 3 * 4, "more than one request of each client failed at each restart: {bad:?}");
    assert!(!bad.iter().any(|why| why.contains("refused")), "{bad:?}");
}

#[test]
fn another_module_serves_after_a_reload() {
    let services = [
        ("hello", spec("hello", json!({}))),
        ("bystander", spec("bystander", json!({ "module": "crashy" }))),
    ];
    let server = Setup::with_services(&services).start();
    let bystander = server.until_service("bystander", "ready");
    server.until_service("hello", "ready");
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    let digest = server.info(&server.service_session("hello"))["digest"].clone();
    let _ = server.call("service_reload", json!({}));
    let same = server.service_session("hello");
    server.put_guest("hello", "crashy");
    let _ = server.call("service_reload", json!({}));
    assert_eq!(server.text_via("/hello/hello"), "hello from crashy\n");
    assert_eq!(server.text_of("hello", "/hello"), "hello from crashy\n");
    let session = server.service_session("hello");
    assert_ne!(session, same);
    assert_ne!(server.info(&session)["digest"], digest);
    assert_eq!(server.service("bystander")["instances"], bystander["instances"], "it did not change");
}

#[test]
fn a_declaration_that_changed_is_taken_up_by_a_reload() {
    let clock = |prefix: &str, more: Value| {
        let mut rest = json!({ "module": "clock" });
        for (key, value) in more.as_object().into_iter().flatten() {
            rest[key] = value.clone();
        }
        spec(prefix, rest)
    };
    let server = Setup::with_services(&[("clock", clock("clock", json!({ "memory_limit_mb": 64 })))]).start();
    let before = server.until_service("clock", "ready");
    let schedules = json!([{ "endpoint": "/tick", "interval_secs": 3600 }]);
    server.declare("clock", clock("time/now", json!({ "memory_limit_mb": 48, "schedules": schedules })));
    reload(&server, "clock").unwrap();
    let after = server.service("clock");
    let session = server.info(after["instances"][0]["session_id"].as_str().unwrap());
    assert_eq!((&after["memory_limit_mb"], &session["limits"]["memory_limit_mb"]), (&json!(48), &json!(48)));
    assert_eq!(after["address"], before["address"], "its port stays");
    assert_eq!(server.text_via("/time/now/slow?ms=1"), "after 1 ms\n");
    assert_eq!(server.via("/clock/count").status, 404, "the prefix of before is free");
    assert_eq!(server.call("schedule_list", json!({}))["schedules"][0]["id"], "clock/tick");

    // A port of its own now.
    let port = e2e::services::free_port();
    server.declare("clock", clock("time/now", json!({ "port": port })));
    reload(&server, "clock").unwrap();
    assert_eq!(server.service("clock")["address"], format!("http://127.0.0.1:{port}"));
    assert_eq!(server.text_of("clock", "/slow?ms=1"), "after 1 ms\n");
    // Not enabled any more, and gone.
    server.declare("clock", clock("time/now", json!({ "port": port, "enabled": false })));
    reload(&server, "clock").unwrap();
    assert_eq!(server.service("clock")["state"], "stopped");
    std::fs::remove_dir_all(server.services_dir().join("clock")).unwrap();
    let _ = server.call("service_reload", json!({}));
    assert_eq!(server.refusal_name("service_get", json!({ "name": "clock" })), "service_not_found");
    assert!(reload(&server, "clock").unwrap_err().contains("clock"));
}

#[test]
fn what_is_broken_does_not_replace_what_works() {
    let hello = |more: Value| {
        let mut rest = json!({ "module": "hello", "health": { "start_period_secs": 1, "timeout_ms": 200 } });
        for (key, value) in more.as_object().into_iter().flatten() {
            rest[key] = value.clone();
        }
        spec("hello", rest)
    };
    let server = Setup::with_services(&[("hello", hello(json!({})))]).start();
    server.until_service("hello", "ready");
    let session = server.service_session("hello");
    let goes_on = |server: &Server| {
        assert_eq!(server.service_session("hello"), session);
        assert_eq!(server.service("hello")["state"], "ready");
        assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
        assert_eq!(server.text_of("hello", "/hello"), "hello, world\n");
    };
    server.declare("hello", "{ this is none");
    assert!(reload(&server, "hello").unwrap_err().contains("hello/config/service.json"));
    goes_on(&server);
    assert_eq!(server.problems().len(), 1);
    let _ = server.call("service_reload", json!({}));
    goes_on(&server);
    assert_eq!(server.problems().len(), 1, "it is listed once");

    // One that never gets healthy, one that ends, one without a module, one whose port is taken.
    server.put_guest("crashy", "crashy");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let rows = [
        (json!({ "module": "crashy", "env": { "CRASH": "never_healthy" } }), "503"),
        (json!({ "module": "crashy", "env": { "CRASH": "at_once" } }), "exited with code 3"),
        (json!({ "module": "not_there" }), "not_there"),
        (json!({ "port": port }), "another program has port"),
    ];
    for (more, why) in rows {
        server.declare("hello", hello(more));
        let error = reload(&server, "hello").unwrap_err();
        assert!(error.contains("goes on") && error.contains(why), "{error}");
        goes_on(&server);
        let reason = server.service("hello")["reason"].clone();
        assert!(reason.as_str().unwrap().contains(why), "{reason}");
        assert_eq!(server.running_of("hello").len(), 1, "nothing of the newer one runs");
    }
    assert!(server.problems().is_empty(), "the file itself is right");
    // And then a good one.
    server.declare("hello", hello(json!({ "env": { "N": "2" } })));
    reload(&server, "hello").unwrap();
    assert_ne!(server.service_session("hello"), session);
    assert_eq!(server.service("hello")["reason"], Value::Null);
}

#[test]
fn one_that_failed_starts_again_when_what_was_wrong_with_it_has_changed() {
    let crashy = |crash: &str| {
        spec(
            "crashy",
            json!({ "module": "crashy", "env": { "CRASH": crash }, "restart": { "intensity": 0 } }),
        )
    };
    let services =
        [("crashy", crashy("at_once")), ("missing", spec("missing", json!({ "module": "not_there" })))];
    let server = Setup::with_services(&services).start();
    server.until_service("crashy", "failed");
    server.until_service("missing", "failed");
    server.declare("crashy", crashy("on_request"));
    server.put_guest("not_there", "hello");
    let _ = server.call("service_reload", json!({}));
    server.until_service("crashy", "ready");
    server.until_service("missing", "ready");
}

#[test]
fn prefixes_that_are_exchanged_by_one_reload_are_both_served() {
    let of = |prefix: &str, module: &str| spec(prefix, json!({ "module": module }));
    let server = Setup::with_services(&[("a", of("one", "hello")), ("b", of("two", "crashy"))]).start();
    server.until_service("a", "ready");
    server.until_service("b", "ready");
    server.declare("a", of("two", "hello"));
    server.declare("b", of("one", "crashy"));
    let _ = server.call("service_reload", json!({}));
    assert_eq!(server.text_via("/two/hello"), "hello, world\n");
    assert_eq!(server.text_via("/one/hello"), "hello from crashy\n");
    // A new one that takes what another one leaves.
    server.declare("b", of("three", "crashy"));
    server.declare("c", of("one", "hello"));
    let _ = server.call("service_reload", json!({}));
    server.until_service("c", "ready");
    assert_eq!(server.text_via("/three/hello"), "hello from crashy\n");
    assert_eq!(server.text_via("/one/hello"), "hello, world\n");
}

#[test]
fn a_server_that_watches_takes_up_changes_by_itself() {
    let services = [("hello", spec("hello", json!({})))];
    let server = Setup::with_services(&services).set("watch", true).start();
    server.until_service("hello", "ready");
    let first = server.service_session("hello");
    server.put_guest("hello", "crashy");
    server.until_other("hello", &first);
    assert_eq!(server.text_via("/hello/hello"), "hello from crashy\n");
    server.declare("hello", spec("moved", json!({})));
    eventually("the prefix is another", || (server.service("hello")["prefix"] == "moved").then_some(()));
    server.declare("new", spec("new", json!({ "module": "hello" })));
    eventually("there is a new one", || {
        let list = server.call("service_list", json!({}));
        list["services"]
            .as_array()?
            .iter()
            .find(|one| one["name"] == "new" && one["state"] == "ready")
            .map(drop)
    });
    server.declare("new", "{");
    eventually("the problem is seen", || (server.problems().len() == 1).then_some(()));
    assert_eq!(server.text_via("/new/hello"), "hello from crashy\n");
    std::fs::remove_dir_all(server.services_dir().join("new")).unwrap();
    eventually("it is gone", || {
        let gone = server.rpc("service_get", json!({ "name": "new" })).get("error").is_some();
        (gone && server.problems().is_empty()).then_some(())
    });
}
