//! When a session is ready: at once, when it prints its line, or never.

use std::process::{Output, Stdio};

use e2e::{Server, Value, eventually, json};

/// A session that says that it is ready once it has read a byte, and then reads to the end.
fn hesitant(server: &Server, ready: Value) -> String {
    let args = ["say", "before", "byte", "say", "READY", "all"];
    server.session(json!({ "module": "faulty_reader", "args": args, "stdin_open": true, "ready": ready }))
}

fn wait_ready(server: &Server, id: &str, wait_ms: u64) -> Value {
    server.call("session_wait", json!({ "session_id": id, "for": "ready", "wait_ms": wait_ms }))
}

fn stop(server: &Server, id: &str) {
    let _ = server.call("session_stop", json!({ "session_id": id, "grace_ms": 0 }));
}

#[test]
fn without_a_declaration_it_is_ready_as_soon_as_it_runs() {
    let server = Server::start();
    let id = server.session(json!({ "module": "ticker", "args": ["1000000", "20"] }));
    let waited = wait_ready(&server, &id, 30_000);
    assert_eq!(waited["ready"], true, "{waited:#}");
    assert_eq!(server.info(&id)["state"], "running");
    stop(&server, &id);
    assert_eq!(wait_ready(&server, &id, 30_000)["outcome"]["kind"], "cancelled");
}

#[test]
fn with_a_line_it_is_ready_when_that_is_printed() {
    let server = Server::start();
    let id = hesitant(&server, json!({}));
    eventually("it runs", || (server.info(&id)["state"] == "running").then_some(()));
    assert_eq!(wait_ready(&server, &id, 50), Value::Null);
    assert_eq!(server.info(&id)["ready"], false);
    let _ = server.call("session_stdin", json!({ "session_id": id, "data": "x" }));
    let waited = wait_ready(&server, &id, 30_000);
    assert_eq!(waited["ready"], true, "{waited:#}");
    assert!(waited["ready_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(server.info(&id)["ready"], true);
    let lines = server.lines(&id);
    assert!(lines.iter().any(|line| line["line"] == "READY"), "who waited finds the line: {lines:?}");
    let _ = server.call("session_stdin", json!({ "session_id": id, "close": true }));
    assert_eq!(server.wait(&id)["success"], true, "being ready is no end");
}

#[test]
fn another_line_or_one_of_the_servers_own_is_not_it() {
    let server = Server::start();
    let id = hesitant(&server, json!({ "line": "GO", "timeout_ms": 60_000 }));
    let _ = server.call("session_stdin", json!({ "session_id": id, "data": "x" }));
    eventually("it has printed", || {
        server.lines(&id).iter().any(|line| line["line"] == "READY").then_some(())
    });
    assert_eq!(wait_ready(&server, &id, 50), Value::Null);
    stop(&server, &id);
}

#[test]
fn one_that_is_not_ready_in_time_fails() {
    let server = Server::start();
    let id = hesitant(&server, json!({ "timeout_ms": 300 }));
    let waited = wait_ready(&server, &id, 30_000);
    assert_eq!(waited["outcome"], json!({ "kind": "not_ready" }), "{waited:#}");
    assert_eq!(waited["stdout"], "before\n");
    assert_eq!(server.info(&id)["state"], "failed");
}

#[test]
fn one_that_ends_before_tells_its_end() {
    let server = Server::start();
    let request = json!({ "module": "faulty_exit7", "ready": { "line": "READY" } });
    let id = server.session(request);
    assert_eq!(wait_ready(&server, &id, 30_000)["outcome"], json!({ "kind": "exited", "code": 7 }));
}

#[test]
fn a_line_has_to_be_one() {
    let server = Server::start();
    for line in ["", "a\nb", &"x".repeat(2000)] {
        let request = json!({ "module": "hello", "ready": { "line": line } });
        assert_eq!(server.refusal_name("session_start", request), "invalid_params", "{line:?}");
    }
}

fn cli(server: &Server, args: &[&str]) -> Output {
    server.cli(args).stdin(Stdio::null()).output().expect("the command line can be run")
}

#[test]
fn the_command_line_returns_when_it_is_ready_and_leaves_it_running() {
    let server = Server::start();
    // It waits after the line until it is stopped.
    let output = cli(&server, &["run", "--wait-ready", "--ready-line", "tick 3", "ticker", "1000000", "20"]);
    assert!(output.status.success(), "{output:?}");
    let id = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let info = server.info(&id);
    assert_eq!((&info["state"], &info["ready"]), (&json!("running"), &json!(true)), "{info:#}");
    let output = cli(&server, &["wait", "--ready", &id]);
    assert!(output.status.success(), "{output:?}");
    stop(&server, &id);
}

#[test]
fn the_command_line_shows_the_last_lines_of_one_that_does_not_become_ready() {
    let server = Server::start();
    let output = cli(
        &server,
        &[
            "run",
            "--wait-ready",
            "--ready-timeout",
            "300ms",
            "faulty_reader",
            "say",
            "so far",
            "sleep",
            "60000",
        ],
    );
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("so far") && said.contains("not ready in time"), "{said}");
    assert!(output.stdout.is_empty());
    let output = cli(&server, &["run", "--wait-ready", "faulty_reader", "say", "bye"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("bye"));
}
