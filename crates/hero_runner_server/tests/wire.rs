//! The routes over a real socket, with a core that has no engine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod stand_in;

use std::sync::Arc;
use std::time::Duration;

use api::LogKind;
use api::log::Gap;
use hero_runner_server::signals::Order;
use serde_json::{Value, json};
use stand_in::{Answer, request, start};
use supervisor::logs::{Batch, Line, LogEvent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

const GET: &str = r#"{"jsonrpc":"2.0","method":"session_get","params":{"session_id":"ses-1"},"id":1}"#;

#[tokio::test]
async fn a_call_a_notification_and_a_batch() {
    let server = start(|_| {});
    let reply = server.rpc(GET).await;
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("content-type: application/json"));
    assert_eq!(reply.json()["result"]["session_id"], "ses-1");

    let stop = |id: &str| format!(r#"{{"jsonrpc":"2.0","method":"session_stop","params":["{id}"]}}"#);
    let reply = server.rpc(&stop("a")).await;
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    let reply = server.rpc(&format!("[{},{}]", stop("b"), stop("c"))).await;
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    // A notification is carried out like a call, and a batch in its order.
    assert_eq!(*server.core.stopped.lock().unwrap(), ["a", "b", "c"]);

    let reply = server.rpc("[1,2,3]").await;
    assert_eq!((reply.status, reply.json().as_array().unwrap().len()), (200, 3));
}

#[tokio::test]
async fn errors_come_at_status_200_with_name_and_hint() {
    let server = start(|_| {});
    let reply = server.rpc(r#"{"jsonrpc":"2.0","method":"session_get","params":["none"],"id":"x"}"#).await;
    assert_eq!(reply.status, 200);
    let expected = json!({"jsonrpc": "2.0", "id": "x", "error": {
        "code": -33001,
        "message": "no session has the id none",
        "data": {"code_name": "session_not_found", "retryable": false,
                 "hint": "session_list shows the sessions that are known"},
    }});
    assert_eq!(reply.json(), expected);
    let reply = server.rpc(r#"{"jsonrpc":"2.0","method":"session_get","params":{"id":"x"},"id":1}"#).await;
    assert_eq!(reply.json()["error"]["code"], -32602);
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("unknown field `id`"));
}

#[tokio::test]
async fn a_body_of_another_type_or_size_is_refused() {
    let server = start(|settings| settings.body_max_bytes = 2000);
    for head in ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"] {
        let reply = request(&server.socket(), "POST", "/rpc", head, GET.as_bytes()).await;
        assert_eq!(reply.status, 415);
        assert!(reply.json()["data"]["hint"].as_str().unwrap().contains("application/json"));
    }
    let head = "content-type: Application/JSON; charset=utf-8\r\n";
    assert_eq!(request(&server.socket(), "POST", "/rpc", head, GET.as_bytes()).await.status, 200);

    let reply = server.rpc(&format!("{GET}{}", " ".repeat(5_000_000))).await;
    assert_eq!((reply.status, reply.json()["code"].as_i64()), (413, Some(-33007)));
    assert!(reply.text().contains("body_max_bytes, 2000"));
    // The same without an announced length.
    let mut stream = UnixStream::connect(server.socket()).await.unwrap();
    let head = "POST /rpc HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..100 {
        let _ = stream.write_all(format!("64\r\n{}\r\n", " ".repeat(100)).as_bytes()).await;
    }
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    assert_eq!(Answer::parse(&all).status, 413);
    // A chunked body within the limit is one body.
    let mut stream = UnixStream::connect(server.socket()).await.unwrap();
    let (one, two) = GET.split_at(20);
    let chunks = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    stream.write_all(format!("{head}{chunks}").as_bytes()).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert_eq!(Answer::parse(&all).json()["result"]["session_id"], "ses-1");
}

#[tokio::test]
async fn the_documents() {
    let server = start(|_| {});
    let document = server.get("/openrpc.json").await;
    assert_eq!(document.text(), api::openrpc::text());
    let discovered = server.rpc(r#"{"jsonrpc":"2.0","method":"rpc.discover","id":1}"#).await;
    assert!(discovered.text().contains(api::openrpc::text().as_str()), "not the same bytes");
    assert_eq!(discovered.json()["result"], document.json());

    let health = server.get("/health").await;
    assert_eq!(health.json(), json!({"status": "ok", "service": "hero_runner", "version": api::VERSION}));
    let hero = server.get("/.well-known/heroservice.json").await.json();
    let keys: Vec<&String> = hero.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["protocol", "name", "title", "version", "description", "socket"]);
    assert_eq!(
        (&hero["protocol"], &hero["name"], &hero["socket"]),
        (&json!("openrpc"), &json!("hero_runner"), &json!("rpc"))
    );
    let metrics = server.get("/metrics").await;
    assert!(metrics.head.contains("text/plain; version=0.0.4"));
    assert!(metrics.text().contains("\nhero_runner_sessions_running 7\n"));
}

#[tokio::test]
async fn a_wrong_path_or_method_is_told_what_there_is() {
    let server = start(|_| {});
    let reply = server.get("/nothing?x=1").await;
    assert_eq!((reply.status, &reply.json()["data"]["code_name"]), (404, &json!("path_not_found")));
    let reply = server.get("/rpc").await;
    assert_eq!((reply.status, &reply.json()["data"]["code_name"]), (405, &json!("method_not_allowed")));
    assert!(reply.head.contains("allow: post"), "{}", reply.head);
    assert!(reply.json()["data"]["hint"].as_str().unwrap().contains("POST /rpc"));
    let reply = request(&server.socket(), "DELETE", "/modules/x", "", b"").await;
    assert_eq!(reply.status, 405);
    let reply = request(&server.socket(), "POST", &format!("/{}", "x".repeat(5000)), "", b"").await;
    assert!(reply.status == 404 && reply.body.len() < 1000, "{reply:?}");
}

#[tokio::test]
async fn an_upload_streams_to_the_core() {
    let server = start(|_| {});
    let socket = server.socket();
    let module = [&b"\0asm\x01\0\0\0"[..], &vec![7; 500_000]].concat();
    let digest = format!("x-sha256: {}\r\n", "aB".repeat(32));
    let reply = request(&socket, "POST", "/modules/hello", &digest, &module).await;
    assert_eq!(
        (reply.status, &reply.json()["name"], &reply.json()["size"]),
        (200, &json!("hello"), &json!(500_008))
    );
    let reply = request(&socket, "POST", "/modules", "", &module).await;
    assert_eq!(reply.status, 200);
    {
        let uploads = server.core.uploads.lock().unwrap();
        assert_eq!(uploads[0], (Some("hello".to_owned()), module.clone()));
        assert_eq!(uploads[1], (None, module.clone()));
    }
    let wrong = format!("x-sha256: {}\r\n", "ff".repeat(32));
    for (path, head, body, status, code) in [
        ("/modules/hello", wrong.as_str(), &module[..], 422, -33006),
        ("/modules/hello", "x-sha256: abc\r\n", &module[..], 400, -32600),
        ("/modules/hello", "", b"not a module", 422, -33003),
        ("/modules/hello", "", b"", 422, -33003),
        ("/modules/UPPER", "", &module[..], 400, -33008),
        ("/modules/hello", "", &[0; 3 << 20][..], 413, -33007),
    ] {
        let reply = request(&socket, "POST", path, head, body).await;
        assert_eq!((reply.status, reply.json()["code"].as_i64()), (status, Some(code)), "{path} {head}");
    }
    assert_eq!(*server.core.given_up.lock().unwrap(), 1, "the upload that was too large is discarded");

    // A client that goes away in the middle leaves nothing behind.
    let mut stream = UnixStream::connect(&socket).await.unwrap();
    stream
        .write_all(b"POST /modules/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n\0asm")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(stream);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(*server.core.given_up.lock().unwrap(), 2);
    assert_eq!(server.core.uploads.lock().unwrap().len(), 2);
}

fn line(kind: LogKind, text: &'static [u8]) -> Line {
    Line { ts_ms: 5, kind, partial: false, bytes: text.into() }
}

/// Follows the session `live`, which prints four lines with a gap before the last, and ends.
async fn follow(path: &str, head: &str) -> (Answer, Vec<Option<u64>>) {
    let server = start(|_| {});
    let (events, receiver) = mpsc::channel(16);
    *server.core.live.lock().unwrap() = Some(receiver);
    let lines = vec![
        line(LogKind::Stdout, b"a\"b"),
        line(LogKind::Stderr, b"\r\ndata: x\n\nevent: end"),
        line(LogKind::Host, b"\xff"),
    ];
    events.send(LogEvent::State(api::SessionState::Running)).await.unwrap();
    events.send(LogEvent::Lines(Arc::new(Batch::new(0, lines)))).await.unwrap();
    events.send(LogEvent::Gap(Gap { missed: 4, next_seq: 7 })).await.unwrap();
    events
        .send(LogEvent::Lines(Arc::new(Batch::new(7, vec![line(LogKind::Stdout, b"last")]))))
        .await
        .unwrap();
    events.send(LogEvent::End(api::Outcome::Exited { code: 0 })).await.unwrap();
    // The sender stays open: it is the end event that ends the stream.
    let reply = request(&server.socket(), "GET", path, head, b"").await;
    drop(events);
    let followed = server.core.followed.lock().unwrap().clone();
    (reply, followed)
}

/// Reads the body as a browser does, comments left out: id, event, data.
fn events(reply: &Answer) -> Vec<(Option<String>, String, Value)> {
    let (mut list, mut id, mut name, mut data) = (Vec::new(), None, String::new(), None);
    // The body comes in chunks; only lines that are fields count here.
    for line in reply.text().split(['\r', '\n']) {
        match line.split_once(": ") {
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("event", value)) => name = value.to_owned(),
            Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
            _ => {}
        }
        if let Some(data) = data.take() {
            list.push((id.take(), std::mem::take(&mut name), data));
        }
    }
    list
}

#[tokio::test]
async fn a_log_streams_with_its_gaps_and_its_end() {
    let (reply, followed) = follow("/sse/session/live", "").await;
    assert_eq!(reply.status, 200);
    assert!(
        reply.head.contains("content-type: text/event-stream")
            && reply.head.contains("cache-control: no-cache")
    );
    assert!(reply.text().contains("retry: 1000\n\n"));
    assert_eq!(followed, [None]);
    let id = |seq: u64| Some(seq.to_string());
    let expected = [
        (None, "state".to_owned(), json!({"state": "running"})),
        (id(0), "stdout".to_owned(), json!({"seq": 0, "ts_ms": 5, "kind": "stdout", "line": "a\"b"})),
        (
            id(1),
            "stderr".to_owned(),
            json!({"seq": 1, "ts_ms": 5, "kind": "stderr", "line": "\r\ndata: x\n\nevent: end"}),
        ),
        (
            id(2),
            "host".to_owned(),
            json!({"seq": 2, "ts_ms": 5, "kind": "host", "line": "\u{fffd}", "base64": "/w=="}),
        ),
        (id(6), "gap".to_owned(), json!({"missed": 4, "next_seq": 7})),
        (id(7), "stdout".to_owned(), json!({"seq": 7, "ts_ms": 5, "kind": "stdout", "line": "last"})),
        (None, "end".to_owned(), json!({"outcome": {"kind": "exited", "code": 0}, "state": "succeeded"})),
    ];
    assert_eq!(events(&reply), expected);
}

#[tokio::test]
async fn a_stream_resumes_in_the_middle_of_a_batch() {
    for (path, head) in [
        ("/sse/session/live?after_seq=1", ""),
        ("/sse/session/live", "last-event-id: 1\r\n"),
        ("/sse/session/live?after_seq=0", "last-event-id: 1\r\n"),
    ] {
        let (reply, followed) = follow(path, head).await;
        assert_eq!(followed, [Some(1)]);
        let ids: Vec<Option<String>> = events(&reply).into_iter().map(|(id, ..)| id).collect();
        let ids: Vec<String> = ids.into_iter().flatten().collect();
        assert_eq!(ids, ["2", "6", "7"]);
    }
    let (reply, _) = follow("/sse/session/live", "last-event-id: 2\r\n").await;
    assert_eq!(events(&reply)[1].1, "gap", "a batch that is known as a whole is no event");
}

#[tokio::test]
async fn a_stream_that_cannot_be_is_refused_with_a_reason() {
    let server = start(|_| {});
    let reply = server.get("/sse/session/nobody").await;
    assert_eq!((reply.status, reply.json()["code"].as_i64()), (404, Some(-33001)));
    let reply = request(&server.socket(), "GET", "/sse/session/live", "last-event-id: zzz\r\n", b"").await;
    assert_eq!(reply.status, 400);
    assert!(reply.json()["message"].as_str().unwrap().contains("`zzz`"));
    assert_eq!(server.get("/sse/session/%ff").await.status, 400);
    assert_eq!(server.get("/sse/session/live?from=3").await.status, 400);
}

#[tokio::test]
async fn clients_beyond_the_limit_are_told_so() {
    let server = start(|settings| settings.max_connections = 2);
    let idle = [
        UnixStream::connect(server.socket()).await.unwrap(),
        UnixStream::connect(server.socket()).await.unwrap(),
    ];
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut third = UnixStream::connect(server.socket()).await.unwrap();
    let mut all = Vec::new();
    third.read_to_end(&mut all).await.unwrap();
    let reply = Answer::parse(&all);
    assert_eq!((reply.status, &reply.json()["data"]["retryable"]), (503, &json!(true)));
    assert!(reply.text().contains("max_connections allows, 2"));
    drop(idle);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.rpc(GET).await.status, 200);
}

#[tokio::test]
async fn broken_http_is_refused_and_the_server_stays() {
    let server = start(|_| {});
    let head = "content-type: application/json\r\n";
    for raw in [
        "\0\0\0\0\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        format!("POST /rpc HTTP/1.1\r\nhost: x\r\n{head}content-length: 5\r\ncontent-length: 6\r\n\r\n12345"),
        format!("POST /rpc HTTP/1.1\r\nhost: x\r\n{head}content-length: -5\r\n\r\n12345"),
        format!(
            "POST /rpc HTTP/1.1\r\nhost: x\r\n{head}transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n"
        ),
        format!("GET /health HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(200_000)),
    ] {
        let mut stream = UnixStream::connect(server.socket()).await.unwrap();
        let _ = stream.write_all(raw.as_bytes()).await;
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        let shown = &raw[..raw.len().min(40)];
        assert!(all.starts_with(b"HTTP/1.1 4"), "{shown}: {}", String::from_utf8_lossy(&all));
    }
    assert_eq!(server.rpc(GET).await.status, 200);
}

#[tokio::test]
async fn it_answers_while_it_drains_and_then_goes() {
    let server = start(|_| {});
    server.orders.send(Order::Reload).await.unwrap();
    assert_eq!(server.rpc(GET).await.status, 200);
    let idle = UnixStream::connect(server.socket()).await.unwrap();
    server.orders.send(Order::Stop).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.rpc(GET).await.status, 200, "sessions can be looked at while they end");
    let socket = server.socket();
    tokio::time::timeout(Duration::from_secs(2), server.server)
        .await
        .expect("an idle client keeps nobody")
        .unwrap();
    assert!(!socket.exists(), "the socket is removed");
    drop(idle);
}

#[tokio::test]
async fn told_twice_it_stops_at_once() {
    let server = start(|settings| settings.drain_ms = 60_000);
    let (events, receiver) = mpsc::channel(16);
    *server.core.live.lock().unwrap() = Some(receiver);
    let mut follower = UnixStream::connect(server.socket()).await.unwrap();
    follower.write_all(b"GET /sse/session/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.orders.send(Order::Stop).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!server.server.is_finished());
    server.orders.send(Order::Stop).await.unwrap();
    tokio::time::timeout(Duration::from_secs(1), server.server).await.unwrap().unwrap();
    drop(events);
}
