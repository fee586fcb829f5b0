//! What a session is given: arguments, variables, standard input.

use base64::Engine as _;
use e2e::{Server, Value, eventually, json};

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn arguments_and_variables_are_those_of_the_request_and_nothing_else() {
    let server = Server::start();
    let result = server.run(json!({
        "module": "environ",
        "args": ["one", "", "two words", "ümläut", "--flag"],
        "env_vars": { "B": "2", "A": "1=1", "EMPTY": "" },
    }));
    let expected = "arg 0 environ\narg 1 one\narg 2 \narg 3 two words\narg 4 ümläut\narg 5 --flag\n\
                    A=1=1\nB=2\nEMPTY=\ncwd /\n";
    assert_eq!(result["stdout"], expected, "{result:#}");
}

#[test]
fn a_variable_needs_a_name_that_can_be_one() {
    let server = Server::start();
    for name in ["", "A=B"] {
        let request = json!({ "module": "environ", "env_vars": { name: "x" } });
        assert_eq!(server.refusal_name("session_start", request), "invalid_params");
    }
    for request in [
        json!({ "module": "environ", "args": ["a\u{0}b"] }),
        json!({ "module": "environ", "env_vars": { "A": "a\u{0}b" } }),
    ] {
        assert_eq!(server.refusal_name("session_start", request), "invalid_params");
    }
}

#[test]
fn more_arguments_than_a_message_holds_are_refused() {
    let server = Server::start();
    let request = json!({ "module": "environ", "args": ["x".repeat(200 * 1024)] });
    assert_eq!(server.refusal_name("session_start", request), "too_large");
    let almost = "y".repeat(100 * 1024);
    let result = server.run(json!({ "module": "environ", "args": [almost] }));
    assert_eq!(result["success"], true);
    assert!(result["stdout"].as_str().unwrap().contains(&almost[..1000]));
}

#[test]
fn text_on_standard_input_ends_with_end_of_file() {
    let server = Server::start();
    let result = server.run(json!({ "module": "echo", "stdin": "one\ntwo\nhalf" }));
    assert_eq!(result["stdout"], "one\ntwo\nhalf", "{result:#}");
    assert_eq!(result["success"], true);
}

#[test]
fn without_standard_input_a_guest_sees_its_end() {
    let server = Server::start();
    let result = server.run(json!({ "module": "echo" }));
    assert_eq!((&result["stdout"], &result["success"]), (&json!(""), &json!(true)));
}

#[test]
fn bytes_on_standard_input_arrive_as_they_are() {
    let server = Server::start();
    let bytes: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    let id = server.session(json!({ "module": "echo", "stdin_base64": base64(&bytes) }));
    let _ = server.wait(&id);
    let lines = server.lines(&id);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0]["base64"], base64(&bytes));
}

#[test]
fn a_megabyte_of_standard_input_does_not_stop_half_way() {
    let server = Server::start();
    let text = format!("{}\n", "x".repeat(1023)).repeat(900);
    let result = server.run(json!({ "module": "echo", "stdin": text }));
    assert_eq!(result["stdout"].as_str().unwrap().len(), text.len());
}

#[test]
fn a_guest_that_never_reads_its_standard_input_ends_all_the_same() {
    let server = Server::start();
    let result = server.run(json!({ "module": "hello", "stdin": "x".repeat(500_000) }));
    assert_eq!(result["success"], true);
}

#[test]
fn standard_input_stays_open_until_it_is_closed() {
    let server = Server::start();
    let id = server.session(json!({ "module": "echo", "stdin": "first\n", "stdin_open": true }));
    let stdin = |mut more: Value| {
        more["session_id"] = json!(id);
        server.call("session_stdin", more)
    };
    let printed =
        |count: usize| eventually("the guest echoes", || (server.lines(&id).len() == count).then_some(()));
    printed(1);
    assert_eq!(stdin(json!({ "data": "second\n" })), json!({ "ok": true }));
    printed(2);
    assert_eq!(server.call("session_result", json!({ "session_id": id })), Value::Null);
    let _ = stdin(json!({ "base64": base64(b"third\n"), "close": true }));
    let result = server.wait(&id);
    assert_eq!(result["stdout"], "first\nsecond\nthird\n");
    assert_eq!(result["success"], true);
    let again = json!({ "session_id": id, "data": "x" });
    assert_eq!(server.refusal_name("session_stdin", again), "invalid_state");
}

#[test]
fn standard_input_that_was_not_left_open_takes_nothing() {
    let server = Server::start();
    let id = server.session(json!({ "module": "ticker", "args": ["1000", "100"] }));
    let refusal = server.refusal("session_stdin", json!({ "session_id": id, "data": "x" }));
    assert_eq!(refusal["data"]["code_name"], "invalid_state");
    assert!(refusal["message"].as_str().unwrap().contains("stdin_open"), "{refusal:#}");
}

#[test]
fn two_kinds_of_standard_input_at_once_are_refused() {
    let server = Server::start();
    let start = json!({ "module": "echo", "stdin": "a", "stdin_base64": "Yg==" });
    assert_eq!(server.refusal_name("session_start", start), "invalid_params");
    let garbage = json!({ "module": "echo", "stdin_base64": "%%%" });
    assert_eq!(server.refusal_name("session_start", garbage), "invalid_params");
    let id = server.session(json!({ "module": "echo", "stdin_open": true }));
    let both = json!({ "session_id": id, "data": "a", "base64": "Yg==" });
    assert_eq!(server.refusal_name("session_stdin", both), "invalid_params");
    let _ = server.call("session_stdin", json!({ "session_id": id, "close": true }));
    assert_eq!(server.wait(&id)["success"], true);
}

#[test]
fn a_module_that_nobody_knows_is_refused() {
    let server = Server::start();
    for name in ["nothing", "", "Hello", &format!("sha256:{}", "0".repeat(64)), "sha256:xyz"] {
        let refusal = server.refusal_name("session_start", json!({ "module": name }));
        assert_eq!(refusal, "module_not_found", "{name}");
    }
}

#[test]
fn a_module_is_also_found_by_its_digest() {
    let server = Server::start();
    let digest = server.call("module_get", json!({ "name": "hello" }))["digest"].clone();
    let id = server.session(json!({ "module": digest }));
    assert_eq!(server.wait(&id)["stdout"], "hello, world\n");
    assert_eq!(server.info(&id)["digest"], digest);
}

#[test]
fn parameters_may_come_by_position() {
    let server = Server::start();
    let id = server.call("session_start", json!(["environ", ["by", "position"]]))["session_id"].clone();
    let result = server.call("session_wait", json!([id, 30_000]));
    assert!(
        result["stdout"].as_str().unwrap().starts_with("arg 0 environ\narg 1 by\narg 2 position\n"),
        "{result:#}"
    );
}

#[test]
fn the_random_bytes_of_fifty_sessions_are_all_different() {
    let server = Server::start();
    let ids: Vec<String> = (0..50).map(|_| server.session(json!({ "module": "random" }))).collect();
    let mut seen = std::collections::BTreeSet::new();
    for id in &ids {
        let stdout = server.wait(id)["stdout"].as_str().unwrap().trim().to_owned();
        assert_eq!(stdout.len(), 64);
        assert!(seen.insert(stdout.clone()), "{stdout} came twice");
    }
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 50);
}
