//! Handlers that fail, clients that leave, and many at once.

use std::io::{Read, Write};

use e2e::http::Request;
use e2e::services::{get, request, spec};
use e2e::{Server, Setup, Value, eventually, json, patience};

/// A server with the handler `cgi`, with this more in its declaration.
fn server(more: Value) -> Server {
    let mut rest = json!({ "module": "cgi_echo", "kind": "handler" });
    for (key, value) in more.as_object().into_iter().flatten() {
        rest[key] = value.clone();
    }
    let server = Setup::with_services(&[("cgi", spec("cgi", rest))]).start();
    server.until_service("cgi", "ready");
    server
}

fn until_nothing_runs(server: &Server) {
    eventually("no session of it runs", || server.running_of("cgi").is_empty().then_some(()));
}

#[test]
fn a_program_that_fails_is_a_bad_gateway_that_says_why() {
    let server = server(json!({}));
    for (path, why) in [
        ("/cgi/trap", "trapped"),
        ("/cgi/exit/3", "exited with code 3"),
        ("/cgi/nohead", "without a right head"),
    ] {
        let reply = server.via(path);
        assert_eq!(reply.status, 502, "{path}");
        let error = reply.json();
        assert_eq!(error["error"]["service"], "cgi", "{error:#}");
        assert!(error["error"]["message"].as_str().unwrap().contains(why), "{error:#}");
    }
    // For a browser it is a page.
    let html = request(&server.gateway(), "GET", "/cgi/trap", &[("accept", "text/html")], b"");
    assert_eq!((html.status, html.header("content-type")), (502, Some("text/html; charset=utf-8")));
    assert!(html.text().contains("cgi"));
    until_nothing_runs(&server);
    assert_eq!(server.text_via("/cgi/"), "hello from a handler\n", "the next one does not care");
    let page = server.call("session_list", json!({ "label": "service=cgi", "state": "failed" }));
    let outcomes: Vec<_> =
        page["sessions"].as_array().unwrap().iter().map(|one| one["outcome"]["kind"].clone()).collect();
    assert_eq!(outcomes.iter().filter(|kind| **kind == "trapped").count(), 2, "{outcomes:?}");
}

#[test]
fn half_an_answer_is_cut_so_that_the_client_sees_it() {
    let server = server(json!({}));
    let half = Request { method: "GET", path: "/cgi/half", headers: &[], body: b"" };
    for _ in 0..5 {
        // The end may come before the head has left the gateway.
        let Ok(reply) = half.send_to(&server.gateway(), patience()) else { continue };
        assert_eq!(reply.status, 200);
        assert!(reply.whole().is_err(), "it looks whole");
    }
    until_nothing_runs(&server);
}

#[test]
fn one_that_takes_too_long_is_a_gateway_timeout_and_is_killed() {
    let server = server(json!({ "timeout_ms": 300 }));
    let reply = server.via("/cgi/slow?ms=60000");
    assert_eq!(reply.status, 504);
    let error = reply.json();
    assert_eq!(error["error"]["service"], "cgi", "{error:#}");
    until_nothing_runs(&server);
    let page = server.call("session_list", json!({ "label": "service=cgi" }));
    assert_eq!(page["sessions"][0]["outcome"], json!({ "kind": "timed_out" }));
}

#[test]
fn a_client_that_goes_away_takes_its_session_with_it() {
    let server = server(json!({ "timeout_ms": 3_600_000 }));
    let door = server.gateway();
    let slow = b"GET /cgi/slow?ms=3000000 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut patient = door.connect(patience()).unwrap();
    patient.write_all(slow).unwrap();
    let session = eventually("it runs", || server.running_of("cgi").pop());
    drop(patient);
    until_nothing_runs(&server);
    let ended = server.info(session["session_id"].as_str().unwrap());
    assert_eq!(ended["state"], "cancelled", "{ended:#}");
}

#[test]
fn a_client_that_goes_away_in_the_middle_of_a_body_takes_its_session_with_it() {
    let server = server(json!({ "timeout_ms": 3_600_000 }));
    let door = server.gateway();
    let mut reader = door.connect(patience()).unwrap();
    reader.write_all(b"GET /cgi/big?bytes=1000000000 HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    reader.read_exact(&mut [0; 100_000]).unwrap();
    drop(reader);
    until_nothing_runs(&server);
    let mut writer = door.connect(patience()).unwrap();
    writer
        .write_all(b"POST /cgi/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
        .unwrap();
    writer.write_all(&[b'x'; 100_000]).unwrap();
    eventually("it runs", || server.running_of("cgi").pop());
    drop(writer);
    until_nothing_runs(&server);
}

#[test]
fn a_client_that_goes_away_while_its_session_begins_leaves_none() {
    let server = server(json!({ "timeout_ms": 3_600_000 }));
    let door = server.gateway();
    for _ in 0..100 {
        let mut hasty = door.connect(patience()).unwrap();
        hasty.write_all(b"GET /cgi/slow?ms=3000000 HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    }
    assert_eq!(server.text_via("/cgi/"), "hello from a handler\n");
    until_nothing_runs(&server);
}

#[test]
fn many_at_once_are_answered_each_with_its_own() {
    let server = server(json!({}));
    let door = server.gateway();
    std::thread::scope(|scope| {
        let ask = |n: usize| {
            let door = &door;
            scope.spawn(move || {
                let body = format!("number {n}").repeat(100);
                let reply = request(door, "POST", "/cgi/echo", &[], body.as_bytes());
                (reply.status, reply.text() == body)
            })
        };
        let asks: Vec<_> = (0..50).map(ask).collect();
        for ask in asks {
            assert_eq!(ask.join().expect("it is answered"), (200, true));
        }
    });
    assert_eq!(server.service("cgi")["requests"], 50);
    until_nothing_runs(&server);
}

#[test]
fn no_more_than_are_allowed_run_at_once_also_after_that_has_changed() {
    let limited = |n: u32| spec("cgi", json!({ "module": "cgi_echo", "kind": "handler", "instances": n }));
    let server = Setup::with_services(&[("cgi", limited(1))]).start();
    server.until_service("cgi", "ready");
    let door = server.gateway();
    let most = |asks: usize| {
        std::thread::scope(|scope| {
            let slow = || {
                let door = &door;
                scope.spawn(move || get(door, "/cgi/slow?ms=400").text())
            };
            let asks: Vec<_> = (0..asks).map(|_| slow()).collect();
            let mut most = 0;
            while !asks.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                most = most.max(server.running_of("cgi").len());
            }
            assert!(asks.into_iter().all(|ask| ask.join().expect("it is answered") == "at last\n"));
            most
        })
    };
    assert_eq!(most(3), 1);
    server.declare("cgi", limited(3));
    let _ = server.call("service_reload", json!({}));
    assert!(most(3) > 1, "more are allowed now");
}
