//! The gateway: which service gets what, and what it is told.

use e2e::services::{request, spec};
use e2e::{Server, Setup, Value, json, patience};

fn server() -> Server {
    let services = [
        ("clock", spec("api", json!({ "module": "clock" }))),
        ("newer", spec("api/v2", json!({ "module": "crashy" }))),
        ("off", spec("off", json!({ "module": "hello", "enabled": false }))),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("clock", "ready");
    server.until_service("newer", "ready");
    server
}

/// What the service `clock` was asked for by a request to this path.
fn echo(server: &Server, path: &str, headers: &[(&str, &str)]) -> Value {
    request(&server.gateway(), "GET", path, headers, b"").json()
}

/// What comes back on a connection of its own for these bytes, until the gateway closes it.
fn raw(server: &Server, bytes: &str) -> String {
    let answer = server.gateway().exchange(bytes.as_bytes(), patience()).expect("there is an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_longest_prefix_wins_and_is_taken_off() {
    let server = server();
    assert_eq!(server.text_via("/api/v2/hello"), "hello from crashy\n");
    for (path, status) in [
        ("/api/v2", 404),
        ("/api/v2/", 404),
        ("/api/v20/hello", 404),
        ("/apis/hello", 404),
        ("/API/echo", 404),
    ] {
        assert_eq!(server.via(path).status, status, "{path}");
    }
    assert_eq!(server.via("/api/v20/hello").text(), "not found\n", "clock's own word");
    let asked = echo(&server, "/api/echo?a=%2F&b=c%20d&&e", &[]);
    assert_eq!((&asked["path"], &asked["query"]), (&json!("/echo"), &json!("a=%2F&b=c%20d&&e")));
    assert_eq!(server.service("clock")["requests"], 3, "each is counted where it went");
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
        let asked = request(&server.gateway(), method, "/api/echo", &[], b"body").json();
        assert_eq!((&asked["method"], &asked["body"]), (&json!(method), &json!("body")));
    }
    let head = request(&server.gateway(), "HEAD", "/api/count", &[], b"");
    assert_eq!((head.status, head.into_stream().buffer().len()), (200, 0));
}

#[test]
fn a_service_is_told_who_asked_and_nothing_that_is_between_others() {
    let server = server();
    let headers = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "forged.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/forged"),
        // Beside another one, which every request here has.
        ("connection", "x-private, keep-alive"),
        ("x-private", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "deflate"),
        ("proxy-authorization", "Basic eDp5"),
        ("proxy-connection", "keep-alive"),
        ("authorization", "Bearer its-own"),
        ("cookie", "a=1"),
    ];
    let asked = echo(&server, "/api/echo", &headers)["headers"].take();
    let expected = [
        ("host", "localhost"),
        ("x-forwarded-for", "203.0.113.9, 127.0.0.1"),
        ("x-forwarded-host", "localhost"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/api"),
        ("authorization", "Bearer its-own"),
        ("cookie", "a=1"),
    ];
    for (name, value) in expected {
        assert_eq!(asked[name], value, "{name} in {asked:#}");
    }
    assert!(asked["forwarded"].as_str().unwrap().contains("for=127.0.0.1"), "{asked:#}");
    for gone in ["x-private", "keep-alive", "te", "proxy-authorization", "proxy-connection", "upgrade"] {
        assert!(asked.get(gone).is_none(), "{gone} in {asked:#}");
    }
    // On the Unix socket nobody has an address.
    let asked = request(&server.gateway_socket(), "GET", "/api/echo", &[], b"").json()["headers"].take();
    assert!(asked.get("x-forwarded-for").is_none() && asked["x-forwarded-prefix"] == "/api", "{asked:#}");
}

#[test]
fn what_cannot_be_served_is_told_to_programs_and_to_people() {
    let server = server();
    for (path, status, code, service) in [
        ("/nobody/here", 404, "no_such_service", Value::Null),
        ("/off/hello", 503, "service_unavailable", json!("off")),
        ("/", 503, "ui_not_running", json!("hero_runner_ui")),
        ("/-/panel", 503, "ui_not_running", json!("hero_runner_ui")),
    ] {
        let reply = server.via(path);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (status, Some("application/json")),
            "{path}"
        );
        let error = reply.json()["error"].take();
        assert_eq!((&error["code"], &error["service"]), (&json!(code), &service), "{path}: {error:#}");
        assert!(error["message"].is_string() && error["hint"].is_string(), "{error:#}");
        let reply = request(&server.gateway(), "GET", path, &[("accept", "text/html,*/*;q=0.8")], b"");
        assert_eq!((reply.status, reply.header("content-type")), (status, Some("text/html; charset=utf-8")));
        assert!(reply.text().contains(code), "{path}");
    }
    let hint = server.via("/nobody").json()["error"]["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("/api, /api/v2, /off"), "{hint}");
    let script =
        request(&server.gateway(), "GET", "/<script>alert(1)</script>", &[("accept", "text/html")], b"");
    assert!(!script.text().contains("<script>"));
    // The panel is served under names of this machine only.
    let foreign = raw(&server, "GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    assert!(foreign.starts_with("HTTP/1.1 403") && foreign.contains("host_refused"), "{foreign}");
    let connect = raw(&server, "CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1:22\r\n\r\n");
    assert!(connect.starts_with("HTTP/1.1 405"), "{connect}");
}

#[test]
fn paths_that_mean_two_things_are_refused() {
    let server = server();
    for path in [
        "/api/../off/hello",
        "/api/v2/%2e%2e/echo",
        "/../api/echo",
        "/./api/echo",
        "/api/.%2E/",
        "//api/echo",
        "/api%2Fv2/hello",
        "/api%5cecho",
        "/%2e%2e%2fapi/echo",
    ] {
        let reply = server.via(path);
        assert_eq!(reply.status, 400, "{path}");
        assert_eq!(reply.json()["error"]["code"], "bad_path", "{path}");
    }
    // Behind the prefix it is the service's own affair, and stays as it is.
    let reply = server.via("/api/a%2Fb");
    assert_eq!((reply.status, reply.text().as_str()), (404, "not found\n"));
    assert_eq!(server.service("newer")["requests"], 0);
}

/// One answer, a refusal.
fn refused_alone(request: &str, answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer}");
    let answers = answer.lines().filter(|line| line.starts_with("HTTP/1.1 ")).count();
    assert_eq!(answers, 1, "{request:?}: {answer}");
}

#[test]
fn requests_that_could_be_read_in_two_ways_are_refused_and_nothing_follows_them() {
    let server = server();
    let second = "GET /api/tick HTTP/1.1\r\nhost: a\r\n\r\n";
    for head in [
        "POST /api/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG",
        "POST /api/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\n",
        "POST /api/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        "POST /api/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 3\r\n\r\nabc",
        "POST /api/echo HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc",
        "POST /api/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        "POST /api/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /api/echo HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /api/echo HTTP/1.1\r\nhost: a\r\ncontent-length : 3\r\n\r\nabc",
        "GET /api/echo HTTP/1.1\r\nhost: a\r\nx-folded: a\r\n b\r\n\r\n",
        "GET /api/echo HTTP/1.1\nhost: a\n\n",
        "GET /api/echo HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET /api/echo HTTP/1.1\r\n\r\n",
        "GET  /api/echo HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://b/api/echo HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /api/echo HTTP/1.1\r\nhost: a\r\nx: a\u{0}b\r\n\r\n",
    ] {
        refused_alone(head, &raw(&server, &format!("{head}{second}")));
    }
    // Broken chunks are noticed when the request is on its way already.
    for chunks in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
    ] {
        let head = "POST /api/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        refused_alone(chunks, &raw(&server, &format!("{head}{chunks}{second}")));
    }
    let count: Value = serde_json::from_str(&server.text_via("/api/count")).unwrap();
    assert_eq!(count["count"], 0, "none of the second requests was made");
}

#[test]
fn one_connection_brings_many_requests_in_their_order() {
    let server = server();
    let one = "GET /api/tick HTTP/1.1\r\nhost: a\r\n\r\n";
    let post = "POST /api/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nGET ";
    let last = "GET /api/v2/hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = raw(&server, &format!("{one}{one}{post}{one}{last}"));
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 5, "{answer}");
    let places = ["\"count\":1,", "\"count\":2,", "\"body\":\"GET \"", "\"count\":3,", "hello from crashy"]
        .map(|text| answer.find(text).unwrap_or_else(|| panic!("no {text} in {answer}")));
    assert!(places.is_sorted(), "{answer}");
}
