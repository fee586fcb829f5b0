//! HTTP and JSON-RPC as they are: what is well-formed, what is not, and what is too much.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use e2e::{Server, Setup, Value, http, json, patience};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[test]
fn the_examples_of_the_specification_are_answered_as_it_says() {
    let server = Server::start();
    let code = |body: &str| {
        let reply = server.post(body);
        (reply["error"]["code"].as_i64(), reply["id"].clone())
    };
    assert_eq!(code(r#"{"jsonrpc":"2.0","method":"foobar","id":"1"}"#), (Some(-32601), json!("1")));
    assert_eq!(
        code(r#"{"jsonrpc":"2.0","method":"foobar,"params":"bar","baz]"#),
        (Some(-32700), Value::Null)
    );
    assert_eq!(code(r#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#), (Some(-32600), Value::Null));
    let broken = r#"[{"jsonrpc":"2.0","method":"health","id":"1"},{"jsonrpc":"2.0","method""#;
    assert_eq!(code(broken), (Some(-32700), Value::Null));
    assert_eq!(code("[]"), (Some(-32600), Value::Null));
    for (body, count) in [("[1]", 1), ("[1,2,3]", 3)] {
        let replies = server.post(body);
        assert_eq!(replies.as_array().unwrap().len(), count);
        assert!(replies.as_array().unwrap().iter().all(|reply| reply["error"]["code"] == -32600));
    }
    let mixed = server.post(
        r#"[{"jsonrpc":"2.0","method":"health","params":[],"id":"1"},
            {"jsonrpc":"2.0","method":"health","params":[]},
            {"jsonrpc":"2.0","method":"stats","params":{},"id":"2"},
            {"foo":"boo"},
            {"jsonrpc":"2.0","method":"foo.get","params":{"name":"myself"},"id":"5"},
            {"jsonrpc":"2.0","method":"module_list","id":"9"}]"#,
    );
    let shown: Vec<(Value, Option<i64>)> = mixed
        .as_array()
        .unwrap()
        .iter()
        .map(|reply| (reply["id"].clone(), reply["error"]["code"].as_i64()))
        .collect();
    let expected = [
        (json!("1"), None),
        (json!("2"), None),
        (Value::Null, Some(-32600)),
        (json!("5"), Some(-32601)),
        (json!("9"), None),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_notification_is_carried_out_and_not_answered() {
    let server = Server::start();
    for body in [
        r#"{"jsonrpc":"2.0","method":"session_start","params":{"module":"hello"}}"#,
        r#"[{"jsonrpc":"2.0","method":"session_start","params":{"module":"hello"}},{"jsonrpc":"2.0","method":"no"}]"#,
    ] {
        let reply = server.http("POST", "/rpc", &JSON, body.as_bytes());
        assert_eq!(reply.status, 204);
        assert!(reply.body().is_empty());
    }
    let list = server.call("session_list", json!({}));
    assert_eq!(list["sessions"].as_array().unwrap().len(), 2);
}

#[test]
fn ids_come_back_as_they_were_sent() {
    let server = Server::start();
    for id in ["1", "-7", "1.5", "\"a\"", "\"\"", "null", "123456789012345678901234567890"] {
        let reply = server.http(
            "POST",
            "/rpc",
            &JSON,
            format!(r#"{{"jsonrpc":"2.0","method":"health","id":{id}}}"#).as_bytes(),
        );
        let text = String::from_utf8(reply.body()).unwrap();
        assert!(text.contains(&format!(r#""id":{id},"#)), "{id}: {text}");
    }
}

#[test]
fn wrong_types_are_refused_with_the_name_of_what_is_wrong() {
    let server = Server::start();
    for (method, params, named) in [
        ("session_start", json!({ "module": 7 }), "string"),
        ("session_start", json!({ "module": "hello", "args": "x" }), "sequence"),
        ("session_start", json!({ "module": "hello", "timeout_ms": -1 }), "u64"),
        ("session_start", json!({ "module": "hello", "timeout_ms": 1.5 }), "u64"),
        ("session_start", json!({ "module": "hello", "engine": "v8" }), "v8"),
        ("session_start", json!({ "module": "hello", "tiemout_ms": 1 }), "tiemout_ms"),
        ("session_get", json!({ "session_id": null }), "string"),
        ("session_list", json!({ "limit": "many" }), "u32"),
        ("session_logs", json!({}), "session_id"),
    ] {
        let refusal = server.refusal(method, params.clone());
        assert_eq!(refusal["code"], -32602, "{method} {params}");
        assert!(refusal["message"].as_str().unwrap().contains(named), "{method} {params}: {refusal}");
    }
    for params in ["7", "\"x\"", "true"] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"health","params":{params},"id":1}}"#);
        let code = server.post(&body)["error"]["code"].clone();
        assert!(code == -32600 || code == -32602, "{params}: {code}");
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_and_the_next_one_is_not() {
    let server = Setup::new().set("body_max_bytes", 10_000).start();
    let large =
        format!(r#"{{"jsonrpc":"2.0","method":"health","id":1,"params":{{"x":"{}"}}}}"#, "x".repeat(20_000));
    let reply = server.http("POST", "/rpc", &JSON, large.as_bytes());
    assert_eq!(reply.status, 413);
    assert_eq!(reply.json()["data"]["code_name"], "too_large");
    assert_eq!(server.call("health", json!({}))["status"], "ok");
}

#[test]
fn nesting_of_a_thousand_levels_is_refused() {
    let server = Server::start();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [129, 1000, 100_000] {
            let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(server.post(&body)["error"]["code"], -32700, "{open} {depth}");
            let inside = format!(r#"{{"jsonrpc":"2.0","method":"health","id":1,"params":{body}}}"#);
            assert_eq!(server.post(&inside)["error"]["code"], -32700, "{open} {depth}");
            let unclosed = open.repeat(depth);
            assert_eq!(server.post(&unclosed)["error"]["code"], -32700, "{open} {depth}");
        }
    }
    assert_eq!(server.call("health", json!({}))["status"], "ok");
}

#[test]
fn a_batch_of_ten_thousand_is_refused_as_a_whole() {
    let server = Server::start();
    let request = r#"{"jsonrpc":"2.0","method":"session_start","params":{"module":"hello"},"id":1}"#;
    let many = format!("[{}]", [request; 10_000].join(","));
    let reply = server.post(&many);
    assert_eq!(reply["error"]["code"], -32600);
    assert!(reply["error"]["message"].as_str().unwrap().contains("10000"), "{reply}");
    assert_eq!(server.call("session_list", json!({}))["sessions"], json!([]), "none of it was carried out");
    let fits = format!("[{}]", [r#"{"jsonrpc":"2.0","method":"health","id":1}"#; 1000].join(","));
    assert_eq!(server.post(&fits).as_array().unwrap().len(), 1000);
}

#[test]
fn what_is_not_json_is_a_parse_error() {
    let server = Server::start();
    for body in ["", " ", "{", "nonsense", "{\"a\":1}}", "\u{0}", "{'a':1}", "[1,]", "NaN"] {
        assert_eq!(server.post(body)["error"]["code"], -32700, "{body:?}");
    }
    let reply = server.http("POST", "/rpc", &JSON, b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\",\"id\":1}");
    assert_eq!(reply.json()["error"]["code"], -32700);
}

#[test]
fn paths_methods_and_media_types_that_nobody_serves_are_refused() {
    let server = Server::start();
    for path in ["/", "/nothing", "/rpc/", "/sse", "/sse/session", "/../etc/passwd", "/modules/a/b"] {
        let reply = server.get(path);
        let status = reply.status;
        assert!(status == 404 || (status == 405 && path == "/modules"), "{path}: {status}");
        assert_eq!(reply.json()["data"]["code_name"], "path_not_found", "{path}");
    }
    for (method, path) in
        [("GET", "/rpc"), ("PUT", "/rpc"), ("POST", "/health"), ("DELETE", "/modules/hello")]
    {
        let reply = server.http(method, path, &[], b"");
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.json()["data"]["code_name"], "method_not_allowed");
    }
    let body = br#"{"jsonrpc":"2.0","method":"health","id":1}"#;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        assert_eq!(server.http("POST", "/rpc", &[("content-type", kind)], body).status, 415, "{kind}");
    }
    assert_eq!(server.http("POST", "/rpc", &[], body).status, 415);
    let with_charset = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(server.http("POST", "/rpc", &with_charset, body).status, 200);
}

#[test]
fn what_is_not_http_closes_only_its_own_connection() {
    let server = Server::start();
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".as_slice(),
        b"GET\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = UnixStream::connect(server.socket()).unwrap();
        stream.set_read_timeout(Some(patience())).unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = Vec::new();
        // Whatever it says, it ends.
        let _ = stream.read_to_end(&mut reply);
        assert!(!reply.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&reply));
    }
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);
}

#[test]
fn one_connection_takes_many_requests() {
    let server = Server::start();
    let mut stream = UnixStream::connect(server.socket()).unwrap();
    stream.set_read_timeout(Some(patience())).unwrap();
    for _ in 0..50 {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let reply = http::read_head(stream.try_clone().unwrap()).unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json()["status"], "ok");
    }
}

#[test]
fn the_socket_belongs_to_its_user_alone() {
    let server = Server::start();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.socket()), 0o600);
    assert_eq!(mode(server.socket().parent().unwrap()), 0o700);
    assert_eq!(mode(&server.state_dir()), 0o700);
}

#[test]
fn metrics_are_in_the_text_format_and_count() {
    let server = Server::start();
    let _ = server.run(json!({ "module": "hello" }));
    let _ = server.run(json!({ "module": "faulty_trap" }));
    let reply = server.get("/metrics");
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(reply.body()).unwrap();
    let mut typed = Vec::new();
    let mut samples = std::collections::BTreeMap::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(matches!(kind, "counter" | "gauge" | "histogram" | "summary"), "{line}");
            typed.push(name.to_owned());
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            let family = name.split('{').next().unwrap();
            assert!(typed.iter().any(|known| family.starts_with(known.as_str())), "{line}");
            assert!(samples.insert(name.to_owned(), value).is_none(), "{line} comes twice");
        }
    }
    assert_eq!(samples["hero_runner_sessions_total{module=\"hello\",outcome=\"exited\"}"], 1.0);
    assert_eq!(samples["hero_runner_sessions_total{module=\"faulty_trap\",outcome=\"trapped\"}"], 1.0);
    assert_eq!(samples["hero_runner_sessions_accepted_total"], 2.0);
    assert_eq!(samples["hero_runner_session_duration_seconds_bucket{module=\"hello\",le=\"+Inf\"}"], 1.0);
    let load = |what: &str| samples[&format!("hero_runner_session_load_seconds_{what}{{module=\"hello\"}}")];
    assert_eq!(load("count"), 1.0);
    assert!(
        load("sum") > 0.0
            && load("sum") < samples["hero_runner_session_duration_seconds_sum{module=\"hello\"}"]
    );
    assert!(samples["hero_runner_session_max_resident_memory_bytes{module=\"hello\"}"] > 100_000.0);
    assert!(samples["process_resident_memory_bytes"] > 1_000_000.0);
}
