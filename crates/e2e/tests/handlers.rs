//! Handlers: a session for each request, as in CGI.

use e2e::services::{get, request, spec};
use e2e::{Server, Setup, Value, json};

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

#[test]
fn a_request_is_in_the_environment() {
    let server = server(json!({ "env": { "OWN": "yes" } }));
    assert_eq!(server.text_via("/cgi/"), "hello from a handler\n");
    assert_eq!(server.text_via("/cgi"), "hello from a handler\n");
    let headers = [
        ("x-several", "one"),
        ("x-several", "two"),
        ("proxy", "http://evil.example"),
        ("x_under", "confused"),
        ("cookie", "a=1"),
        ("content-type", "text/x-test"),
        ("x-forwarded-prefix", "/forged"),
    ];
    let reply = request(&server.gateway(), "POST", "/cgi/env/a%20b/%C3%BC?x=1&y=%20", &headers, b"12345");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let variables = reply.json();
    let expected = json!({
        "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "POST", "SCRIPT_NAME": "/cgi", "PATH_INFO": "/env/a b/ü",
        "QUERY_STRING": "x=1&y=%20", "CONTENT_LENGTH": "5", "CONTENT_TYPE": "text/x-test", "SERVER_NAME": "localhost",
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_X_SEVERAL": "one, two", "HTTP_COOKIE": "a=1",
        "HTTP_HOST": "localhost", "HTTP_X_FORWARDED_PREFIX": "/cgi", "HTTP_X_FORWARDED_FOR": "127.0.0.1",
        "X_RAW_PATH_INFO": "/env/a%20b/%C3%BC", "X_MATCHED_ROUTE": "/cgi/...",
        "X_FULL_URL": "http://localhost/cgi/env/a%20b/%C3%BC?x=1&y=%20", "REQUEST_URI": "/cgi/env/a%20b/%C3%BC?x=1&y=%20",
        "OWN": "yes"
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&variables[name], value, "{name} in {variables:#}");
    }
    for absent in ["HTTP_PROXY", "HTTP_X_UNDER", "HTTP_CONTENT_LENGTH", "HTTP_CONNECTION", "PATH", "HOME"] {
        assert!(variables.get(absent).is_none(), "{absent} in {variables:#}");
    }
    assert!(variables["SERVER_SOFTWARE"].as_str().unwrap().starts_with("hero_runner/"));
}

#[test]
fn a_body_goes_in_and_comes_out_whole() {
    let server = server(json!({}));
    let types = [("content-type", "application/x-own")];
    let reply = request(&server.gateway(), "POST", "/cgi/echo", &types, b"small");
    assert_eq!(reply.header("content-type"), Some("application/x-own"));
    assert_eq!(reply.text(), "small");
    assert_eq!(request(&server.gateway(), "POST", "/cgi/echo", &[], b"").text(), "");
    // 5 MB, the answer as long as the request, and both at the same time.
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    for door in [server.gateway(), server.gateway_socket()] {
        let echo = e2e::http::Request { method: "PUT", path: "/cgi/echo", headers: &types, body: &body };
        let reply = echo.send_both_ways(&door, e2e::patience()).unwrap();
        assert_eq!(reply.status, 200);
        assert!(reply.body() == body, "it came back changed");
    }
    // In chunks, with a length that nobody knows.
    let chunked =
        b"POST /cgi/env HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
        3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    let answer = server.gateway().exchange(chunked, e2e::patience()).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("\"CONTENT_LENGTH\":\"7\""), "{answer}");
    let big = server.via("/cgi/big?bytes=3000000");
    assert_eq!(big.body().len(), 3_000_000);
}

#[test]
fn status_and_headers_are_the_programs_own() {
    let server = server(json!({}));
    let teapot = server.via("/cgi/status/418");
    assert_eq!((teapot.status, teapot.text().as_str()), (418, "status 418\n"));
    let redirect = server.via("/cgi/redirect");
    assert_eq!((redirect.status, redirect.header("location")), (302, Some("/elsewhere")));
    assert_eq!(server.via("/cgi/nothing").status, 404);
    let head = request(&server.gateway(), "HEAD", "/cgi/", &[], b"");
    assert_eq!(head.status, 200);
    assert_eq!(server.via("/cgi/exit/3?answer").text(), "exit code 3\n", "what it wrote is whole");
}

#[test]
fn no_request_sees_what_another_one_left() {
    // Compiled, requests are forked from a template of the module.
    let services = [("cgi", spec("cgi", json!({ "module": "cgi_echo", "kind": "handler" })))];
    let server = Setup::with_services(&services).compiling().start();
    server.until_service("cgi", "ready");
    let door = server.gateway();
    let fresh = || {
        for _ in 0..2 {
            assert_eq!(get(&door, "/cgi/count").text(), "1\n");
            assert_eq!(get(&door, "/cgi/secret?set=password").text(), "before: \"\"\n");
        }
    };
    fresh();
    let _ = server.until_compiled("cgi_echo");
    e2e::eventually("a request runs in a template", || {
        fresh();
        let page = server.call("session_list", json!({ "label": "service=cgi", "limit": 1 }));
        (page["sessions"][0]["start"] == "warm").then_some(())
    });
    fresh();
}

#[test]
fn a_request_is_a_session_with_a_log() {
    let server = server(json!({ "memory_limit_mb": 16 }));
    assert_eq!(server.text_via("/cgi/stderr"), "see standard error\n");
    let page = server.call("session_list", json!({ "label": "service=cgi" }));
    let session = &page["sessions"][0];
    let id = session["session_id"].as_str().unwrap();
    assert_eq!((&session["module"], &session["limits"]["memory_limit_mb"]), (&json!("cgi_echo"), &json!(16)));
    let result = server.wait(id);
    assert_eq!(
        (&result["success"], &result["stdout"]),
        (&json!(true), &json!("")),
        "the answer is not in the log"
    );
    assert_eq!(result["stderr"], "a request came in\nand was answered\n");
    let service = server.service("cgi");
    assert_eq!((&service["requests"], &service["kind"]), (&json!(1), &json!("handler")));
    assert!(service["address"].is_null() && service["last_probe"].is_null());
    assert!(server.running_of("cgi").is_empty(), "nothing runs when nobody asks");
}
