//! Traces and metrics over OTLP, to a collector that the test is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use e2e::{Server, Setup, json};

/// Takes what is sent until the listener is gone; each request becomes its path and its body.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it has an address"));
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let send = send.clone();
            std::thread::spawn(move || requests(connection, &send));
        }
    });
    (url, receive)
}

fn requests(connection: TcpStream, send: &Sender<(String, Vec<u8>)>) -> Option<()> {
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            match header.trim_end().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().ok()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        send.send((path, body)).ok()?;
        (&connection).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_session_becomes_a_span_and_numbers() {
    let (url, received) = collector();
    let mut server = Setup::new().env("OTEL_EXPORTER_OTLP_ENDPOINT", url).start();
    let id = server.call("session_start", json!({ "module": "faulty_exit7" }))["session_id"].clone();
    let _ = server.call("session_wait", json!({ "session_id": id }));
    // What is left is sent at the end.
    assert!(server.stop().success());
    let all: Vec<(String, Vec<u8>)> = received.try_iter().collect();
    let to = |path: &'static str| all.iter().filter(move |(to, _)| to == path).map(|(_, body)| body);
    let id = id.as_str().expect("an id");
    assert!(to("/v1/traces").any(|body| holds(body, id) && holds(body, "faulty_exit7")), "no span of {id}");
    for name in ["hero_runner.sessions", "hero_runner.session.duration", "hero_runner.sessions.running"] {
        assert!(to("/v1/metrics").any(|body| holds(body, name)), "no metric {name}");
    }
    assert!(!to("/v1/metrics").any(|body| holds(body, id)), "metrics have no ids of sessions");
}

#[test]
fn a_collector_that_is_not_there_changes_nothing() {
    // The port of a socket that is closed again.
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let mut server = Setup::new()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}"))
        .env("OTEL_METRIC_EXPORT_INTERVAL", 50)
        .start();
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);
    assert!(server.stop().success());
    without(&Server::start());
}

/// Nothing is sent, and no thread is there for it, where nobody asked.
fn without(server: &Server) {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).expect("its threads");
    for task in tasks.flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        assert!(!name.to_ascii_lowercase().contains("opentelemetry"), "{name}");
    }
}
