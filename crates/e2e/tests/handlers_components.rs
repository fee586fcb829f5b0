//! Handlers that are `wasi:http` components: a forked process for each request, or for as many as the declaration allows.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::TcpListener;

use e2e::http::{Request, read_head};
use e2e::services::{get, request, spec};
use e2e::{Server, Setup, Value, eventually, json, patience};

/// A server with the handler `hello`, with this more in its declaration.
fn server(more: Value) -> Server {
    let mut rest = json!({ "module": "http_hello", "kind": "handler" });
    for (key, value) in more.as_object().into_iter().flatten() {
        rest[key] = value.clone();
    }
    let server = Setup::with_services(&[("hello", spec("hello", rest))]).start();
    server.until_service("hello", "ready");
    server
}

fn until_nothing_runs(server: &Server) {
    eventually("no session of it runs", || server.running_of("hello").is_empty().then_some(()));
}

/// The sessions of the service, the last one first.
fn sessions(server: &Server) -> Vec<Value> {
    let page = server.call("session_list", json!({ "label": "service=hello" }));
    page["sessions"].as_array().expect("the test has what it needs").clone()
}

/// The message of a refusal.
fn refusal(server: &Server, path: &str, status: u16) -> String {
    let reply = server.via(path);
    assert_eq!(reply.status, status, "{path}");
    let body = reply.json();
    assert_eq!(body["error"]["service"], "hello", "{body:#}");
    body["error"]["message"].as_str().expect("the test has what it needs").to_owned()
}

#[test]
fn a_component_answers_and_no_request_sees_what_another_one_left() {
    let server = server(json!({ "env": { "OWN": "yes" } }));
    assert_eq!(server.text_via("/hello/"), "hello, world\n");
    assert_eq!(server.text_via("/hello"), "hello, world\n");
    for _ in 0..3 {
        assert_eq!(server.text_via("/hello/count"), "1\n");
    }
    assert_eq!(server.text_via("/hello/environment"), "OWN=yes\n");
    until_nothing_runs(&server);
    let sessions = sessions(&server);
    assert_eq!(sessions.len(), 6, "one for each request");
    for session in sessions {
        assert_eq!(session["outcome"], json!({ "kind": "exited", "code": 0 }), "{session:#}");
    }
}

#[test]
fn the_request_and_the_answer_are_passed_on_as_they_are() {
    let server = server(json!({}));
    let headers = [("x-own", "one"), ("x-forwarded-prefix", "/forged")];
    let reply = request(&server.gateway(), "DELETE", "/hello/request?a=%20b", &headers, b"");
    let text = reply.text();
    for line in [
        "method Method::Delete",
        "path /request?a=%20b",
        "authority localhost",
        "x-own: one",
        "x-forwarded-prefix: /hello",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(!text.contains("forged"), "{text}");
    let teapot = server.via("/hello/status?code=418");
    assert_eq!((teapot.status, teapot.header("x-asked")), (418, Some("code=418")));
    assert_eq!(server.via("/hello/nothing").status, 404);
    assert_eq!(request(&server.gateway(), "HEAD", "/hello/", &[], b"").status, 200);
}

#[test]
fn a_session_answers_as_many_as_it_may_and_is_replaced() {
    let server = server(json!({ "max_requests": 5 }));
    for round in 0..2 {
        for count in 1..=5 {
            assert_eq!(server.text_via("/hello/count"), format!("{count}\n"), "round {round}");
        }
    }
    until_nothing_runs(&server);
    let sessions = sessions(&server);
    assert_eq!(sessions.len(), 2);
    for session in sessions {
        assert_eq!(session["outcome"], json!({ "kind": "exited", "code": 0 }), "{session:#}");
    }
}

#[test]
fn a_session_that_is_reused_goes_with_its_module_and_its_declaration() {
    let server = server(json!({ "max_requests": 1000 }));
    assert_eq!(server.text_via("/hello/count"), "1\n");
    assert_eq!(server.text_via("/hello/count"), "2\n");
    server.declare(
        "hello",
        spec(
            "hello",
            json!({
                "module": "http_hello", "kind": "handler", "max_requests": 1000, "env": { "NEW": "yes" }
            }),
        ),
    );
    let _ = server.call("service_reload", json!({}));
    eventually("the new declaration holds", || {
        (server.text_via("/hello/environment") == "NEW=yes\n").then_some(())
    });
    eventually("the session of before is over", || (server.running_of("hello").len() == 1).then_some(()));
    server.order("service_stop", "hello");
    until_nothing_runs(&server);
}

#[test]
fn bodies_stream_both_ways() {
    let server = server(json!({}));
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    for door in [server.gateway(), server.gateway_socket()] {
        let echo = Request { method: "PUT", path: "/hello/echo", headers: &[], body: &body };
        let reply = echo.send_both_ways(&door, patience()).unwrap();
        assert_eq!(reply.status, 200);
        assert!(reply.body() == body, "it came back changed");
    }
    assert_eq!(server.via("/hello/stream?bytes=10000000").body().len(), 10_000_000);
    // The answer to one part comes before the next part is sent.
    let mut wire = server.gateway().connect(patience()).unwrap();
    wire.write_all(
        b"POST /hello/echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 8\r\n\r\none\n",
    )
    .unwrap();
    let reply = read_head(wire.try_clone().unwrap()).unwrap();
    assert_eq!(reply.status, 200);
    let mut stream = reply.into_stream();
    let mut text = String::new();
    while !text.ends_with("one\n") {
        stream.read_line(&mut text).unwrap();
    }
    wire.write_all(b"two\n").unwrap();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("two\n") && text.ends_with("0\r\n\r\n"), "{text}");
}

#[test]
fn one_that_fails_is_a_bad_gateway_that_says_why() {
    let server = server(json!({ "max_requests": 100, "memory_limit_mb": 16 }));
    let ways = [
        ("/hello/trap", "unreachable"),
        ("/hello/silent", "without an answer"),
        // WASI 0.2 tells only whether an end is good.
        ("/hello/exit", "exited with code 1"),
        ("/hello/grow", "memory"),
    ];
    for (path, why) in ways {
        assert_eq!(server.text_via("/hello/count"), "1\n", "before {path}");
        let message = refusal(&server, path, 502);
        assert!(message.contains("\"hello\" gave no answer: its session ses-"), "{message}");
        assert!(message.contains(why), "{message}");
    }
    assert_eq!(server.text_via("/hello/"), "hello, world\n");
}

#[test]
fn half_an_answer_is_cut_so_that_the_client_sees_it() {
    let server = server(json!({ "max_requests": 100 }));
    let late = e2e::http::Request { method: "GET", path: "/hello/trap-late", headers: &[], body: &[] };
    let reply = late.send_to(&server.gateway(), patience()).expect("what came before the trap is sent");
    assert_eq!(reply.status, 200);
    assert!(reply.whole().is_err(), "it seems to be whole");
    // A whole one is whole, whatever comes after it; and the next one has nothing of it.
    assert_eq!(server.text_via("/hello/trap-after"), "all of it\n");
    assert_eq!(server.text_via("/hello/count"), "1\n");
}

#[test]
fn one_that_takes_too_long_is_a_gateway_timeout() {
    for max_requests in [1, 100] {
        let server = server(json!({ "timeout_ms": 300, "max_requests": max_requests }));
        for path in ["/hello/delay?ms=3000000", "/hello/spin"] {
            let message = refusal(&server, path, 504);
            assert!(message.contains("gave no answer in 300 ms"), "{message}");
        }
        until_nothing_runs(&server);
        assert_eq!(server.text_via("/hello/count"), "1\n");
    }
}

#[test]
fn a_client_that_goes_away_takes_its_session_with_it() {
    let server = server(json!({ "timeout_ms": 3_600_000, "max_requests": 100 }));
    let door = server.gateway();
    for path in
        ["/hello/delay?ms=3000000", "/hello/drip?ms=1", "/hello/spin", "/hello/stream?bytes=1000000000"]
    {
        let mut wire = door.connect(patience()).unwrap();
        wire.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
        eventually("it runs", || server.running_of("hello").pop());
        if path.contains("drip") || path.contains("stream") {
            wire.read_exact(&mut [0; 100]).unwrap();
        }
        drop(wire);
        until_nothing_runs(&server);
    }
    assert_eq!(server.text_via("/hello/count"), "1\n");
}

#[test]
fn no_more_than_are_allowed_are_answered_at_once() {
    let server = server(json!({ "instances": 1, "timeout_ms": 1500, "max_requests": 100 }));
    let door = server.gateway();
    let mut first = door.connect(patience()).unwrap();
    first.write_all(b"GET /hello/drip?ms=1 HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    first.read_exact(&mut [0; 100]).unwrap();
    // The first is cut when its time is over; until then the others wait, and one of them may wait for too long.
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let door = door.clone();
            std::thread::spawn(move || get(&door, "/hello/count"))
        })
        .collect();
    assert_eq!(server.running_of("hello").len(), 1);
    for reply in waiting.into_iter().map(|thread| thread.join().unwrap()) {
        match reply.status {
            200 => drop(reply.text()),
            503 => {
                let body = reply.json();
                assert!(
                    body["error"]["message"].as_str().unwrap().contains("as many requests as it may"),
                    "{body:#}"
                );
            }
            other => panic!("status {other}"),
        }
    }
    drop(first);
    eventually("there is room again", || (server.via("/hello/count").status == 200).then_some(()));
}

#[test]
fn many_at_once_are_answered_each_with_its_own() {
    for max_requests in [1, 7] {
        let server = server(json!({ "max_requests": max_requests, "instances": 8 }));
        let door = server.gateway();
        let threads: Vec<_> = (0..16)
            .map(|number| {
                let door = door.clone();
                std::thread::spawn(move || {
                    for turn in 0..8 {
                        let body = format!("{number} {turn}").repeat(1000);
                        let reply = request(&door, "POST", "/hello/echo", &[], body.as_bytes());
                        assert_eq!((reply.status, reply.text()), (200, body));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        server.order("service_stop", "hello");
        until_nothing_runs(&server);
    }
}

#[test]
fn a_request_has_a_log() {
    let server = server(json!({}));
    assert_eq!(server.text_via("/hello/print"), "printed\n");
    let id = sessions(&server)[0]["session_id"].as_str().unwrap().to_owned();
    let result = server.wait(&id);
    assert_eq!(
        (&result["stdout"], &result["stderr"]),
        (&json!("to standard output\n"), &json!("to standard error\n"))
    );
}

#[test]
fn requests_of_its_own_need_a_permission() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 203 Other\r\ncontent-length: 3\r\n\r\nhey");
        }
    });
    let path = format!("/hello/fetch?url=http://127.0.0.1:{port}/");
    for net in [json!([]), json!(["127.0.0.1:1"])] {
        let server = server(json!({ "permissions": { "net": net } }));
        let denied = server.via(&path);
        assert_eq!(denied.status, 502);
        assert!(denied.text().contains("HttpRequestDenied"));
        let id = sessions(&server)[0]["session_id"].as_str().unwrap().to_owned();
        let log = server.wait(&id)["stderr"].as_str().unwrap().to_owned();
        assert!(log.contains(&format!("permission 127.0.0.1:{port}: may not connect")), "{log}");
    }
    let server = server(json!({ "permissions": { "net": [format!("localhost:{port}")] } }));
    let fetched = server.via(&path);
    assert_eq!(fetched.status, 203);
    assert_eq!(fetched.text(), "hey");
}
