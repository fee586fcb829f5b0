//! Sessions that are run again when they fail, and the module that takes over.

use std::path::Path;
use std::process::Stdio;

use e2e::{Server, Value, eventually, json};

/// Ends with 75, "try again", in a folder where it has not been before, and with 0 where it has.
fn second_time_lucky() -> Vec<u8> {
    wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "mark")
            (func (export "_start")
                ;; Creates the file, which must not be there.
                (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 5)
                        (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 64))
                    (then (call $exit (i32.const 0)))
                    (else (call $exit (i32.const 75))))))"#,
    )
    .expect("the test has what it needs")
}

fn in_folder(folder: &Path, more: &Value) -> Value {
    let mut request = json!({
        "module": "lucky", "dirs": [{ "host": folder, "guest": "/", "mode": "read-write" }],
        "retries": { "max": 3, "backoff": { "initial_ms": 1, "max_ms": 10 } },
    });
    for (name, value) in more.as_object().expect("the test has what it needs") {
        request[name] = value.clone();
    }
    request
}

/// The lines of the server's own in a session's log.
fn notes(server: &Server, id: &str) -> Vec<String> {
    let lines = server.lines(id);
    let own = lines.iter().filter(|line| line["kind"] == "host");
    own.map(|line| line["line"].as_str().expect("the test has what it needs").to_owned()).collect()
}

/// Starts a session that ends with this code, and waits for its end.
fn exits(server: &Server, code: &str, retries: Value) -> (String, Value) {
    let request = json!({ "module": "faulty_reader", "args": ["all", "exit", code], "stdin": "in", "retries": retries });
    let id = server.session(request);
    let result = server.wait(&id);
    (id, result)
}

#[test]
fn a_failure_that_may_pass_is_tried_again_in_the_same_session() {
    let server = Server::start();
    server.upload("lucky", &second_time_lucky());
    let folder = tempfile::tempdir().unwrap();
    let id = server.session(in_folder(folder.path(), &json!({})));
    let result = server.wait(&id);
    assert_eq!(result["success"], true, "{result:#}");
    let info = server.info(&id);
    let attempts = info["attempts"].as_array().expect("the attempts before");
    assert_eq!(attempts.len(), 1, "{info:#}");
    assert_eq!(attempts[0]["module"], "lucky");
    assert_eq!(attempts[0]["outcome"], json!({ "kind": "exited", "code": 75 }));
    assert!(attempts[0]["started_at"].as_u64() <= attempts[0]["ended_at"].as_u64());
    assert_eq!(result["attempts"], info["attempts"]);
    let notes = notes(&server, &id);
    assert_eq!(notes, ["attempt 1 ended: exited with code 75; again in 1 ms"]);
}

#[test]
fn permissions_may_list_folders_as_well() {
    let server = Server::start();
    server.upload("lucky", &second_time_lucky());
    let folder = tempfile::tempdir().unwrap();
    let host = folder.path().to_str().unwrap();
    let request = json!({
        "module": "lucky", "permissions": { "fs": { "read-write": [format!("{host}::/")] } },
        "retries": { "max": 1 },
    });
    assert_eq!(server.run(request)["success"], true);
    for (permissions, named) in [
        (json!({ "fs": "read" }), "package"),
        (json!({ "fs": { "read": ["data"] } }), "relative"),
        (json!({ "exec": true }), "exec"),
    ] {
        let request = json!({ "module": "lucky", "permissions": permissions });
        let error = server.refusal("session_start", request);
        assert_eq!(error["data"]["code_name"], "permission_denied", "{error:#}");
        assert!(error["message"].as_str().unwrap().contains(named), "{error:#}");
    }
}

#[test]
fn other_failures_are_tried_again_when_asked_for_and_input_is_given_again() {
    let server = Server::start();
    let (_, result) = exits(&server, "7", json!({ "max": 2 }));
    assert_eq!((&result["exit_code"], &result["attempts"]), (&json!(7), &Value::Null), "not transient");
    let backoff = json!({ "initial_ms": 1, "max_ms": 1 });
    let (id, result) = exits(&server, "7", json!({ "max": 2, "on": "failure", "backoff": backoff }));
    assert_eq!(result["exit_code"], 7);
    assert_eq!(result["attempts"].as_array().map(Vec::len), Some(2), "{result:#}");
    assert_eq!(result["stdout"].as_str().unwrap().matches("\"in\"").count(), 3, "{result:#}");
    assert_eq!(notes(&server, &id).len(), 2);
    let (_, result) = exits(&server, "0", json!({ "max": 2, "on": "failure" }));
    assert_eq!(result["attempts"], Value::Null, "a success is no failure");
}

/// A session that waits long for its second run.
fn pausing(server: &Server) -> String {
    let request = json!({
        "module": "faulty_reader", "args": ["exit", "75"],
        "retries": { "max": 2, "backoff": { "initial_ms": 600_000, "max_ms": 600_000 } },
    });
    let id = server.session(request);
    eventually("the first run has failed", || {
        let info = server.info(&id);
        (info["attempts"].is_array() && info["state"] == "pending").then_some(())
    });
    id
}

#[test]
fn a_session_can_be_stopped_between_two_runs() {
    let server = Server::start();
    let id = pausing(&server);
    let _ = server.call("session_stop", json!({ "session_id": id }));
    let info = server.info(&id);
    assert_eq!((&info["state"], &info["outcome"]["kind"]), (&json!("cancelled"), &json!("cancelled")));
    assert_eq!(info["attempts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_server_that_stops_does_not_wait_for_the_next_run() {
    let mut server = Server::start();
    let id = pausing(&server);
    assert!(server.stop().success());
    server.start_again();
    let info = server.info(&id);
    assert_eq!(info["outcome"], json!({ "kind": "exited", "code": 75 }), "{info:#}");
}

#[test]
fn what_cannot_be_run_again_is_refused() {
    let server = Server::start();
    for more in [
        json!({ "stdin_open": true, "retries": { "max": 1 } }),
        json!({ "stdin_open": true, "fallback": "hello" }),
        json!({ "retries": { "max": 101 } }),
    ] {
        let mut request = more.clone();
        request["module"] = json!("hello");
        assert_eq!(server.refusal_name("session_start", request), "invalid_params", "{more}");
    }
}

#[test]
fn a_fallback_takes_over_when_there_is_no_such_module() {
    let server = Server::start();
    let request = json!({ "module": "nowhere", "fallback": "greet" });
    let id = server.session(request);
    let result = server.wait(&id);
    assert_eq!(result["success"], true, "{result:#}");
    let info = server.info(&id);
    assert_eq!(info["module"], "greet");
    assert_eq!(info["attempts"][0]["module"], "nowhere");
    assert_eq!(info["attempts"][0]["outcome"]["kind"], "load_failed");
    assert!(notes(&server, &id)[0].contains("greet takes over"), "{:?}", notes(&server, &id));
}

#[test]
fn a_fallback_takes_over_after_the_retries_and_has_its_own() {
    let server = Server::start();
    server.upload("lucky", &second_time_lucky());
    let folder = tempfile::tempdir().unwrap();
    let more = json!({ "module": "faulty_exit7", "fallback": "lucky" });
    let mut request = in_folder(folder.path(), &more);
    request["retries"]["on"] = json!("failure");
    request["retries"]["max"] = json!(1);
    let id = server.session(request);
    assert_eq!(server.wait(&id)["success"], true);
    let info = server.info(&id);
    let modules: Vec<_> = info["attempts"].as_array().unwrap().iter().map(|one| &one["module"]).collect();
    assert_eq!(modules, ["faulty_exit7", "faulty_exit7", "lucky"], "{info:#}");
    assert_eq!(info["module"], "lucky");
}

#[test]
fn a_wrong_fallback_is_told_at_once() {
    let server = Server::start();
    let request = json!({ "module": "hello", "fallback": "nowhere" });
    assert_eq!(server.refusal_name("session_start", request), "module_not_found");
}

#[test]
fn the_command_line_has_flags_for_it() {
    let server = Server::start();
    let args = ["run", "--retries", "1", "--retry-on", "failure", "--fallback", "greet", "faulty_exit7"];
    let output = server.cli(&args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("again in 100 ms") && said.contains("greet takes over"), "{said}");
}
