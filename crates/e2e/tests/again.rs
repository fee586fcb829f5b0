//! Running once more what a session was asked for.

use std::process::{Output, Stdio};

use e2e::services::spec;
use e2e::{Server, Setup, Value, json};

fn request_of(server: &Server, id: &str) -> Value {
    server.call("session_request", json!({ "session_id": id }))
}

fn refused(server: &Server, id: &str) -> String {
    let error = server.refusal("session_request", json!({ "session_id": id }));
    assert_eq!(error["data"]["code_name"], "invalid_state", "{error:#}");
    error["message"].as_str().expect("a refusal says what is wrong").to_owned()
}

fn cli(server: &Server, args: &[&str]) -> Output {
    server.cli(args).stdin(Stdio::null()).output().expect("the command line can be run")
}

#[test]
fn what_was_asked_for_can_be_asked_for_again() {
    let server = Server::start();
    let asked = json!({
        "module": "environ", "args": ["one", "two\nlines", ""], "env_vars": { "SECRET": "a=b" }, "stdin_open": false,
        "labels": { "team": "core" }, "timeout_ms": 20_000, "memory_limit_mb": 32, "ready": { "line": "cwd /" },
        "dirs": [{ "host": server.dir(), "guest": "/data", "mode": "read" }], "working_dir": "/data",
    });
    let mut waited = asked.clone();
    waited["wait_ms"] = json!(20_000);
    let first = server.call("session_start", waited);
    let kept = request_of(&server, first["session_id"].as_str().unwrap());
    assert_eq!(kept, asked, "without how long somebody waited");
    let second = server.run(kept);
    assert_eq!(second["stdout"], first["result"]["stdout"]);
    assert!(second["stdout"].as_str().unwrap().contains("PWD=/data\nSECRET=a=b\n"), "{second:#}");
}

#[test]
fn a_template_and_a_script_are_asked_for_as_such() {
    let server = Server::start();
    let script = json!({ "script": "print(1 + 1)", "runtime": "rhai", "stdin_open": false });
    let id = server.session(script.clone());
    let _ = server.wait(&id);
    assert_eq!(request_of(&server, &id), script);
    assert_eq!(server.run(request_of(&server, &id))["stdout"], "2\n");
}

#[test]
fn what_is_not_kept_says_so() {
    let mut server = Setup::with_services(&[("hello", spec("hello", json!({ "module": "hello" })))]).start();
    let service = server.until_service("hello", "ready");
    let message = refused(&server, service["instances"][0]["session_id"].as_str().unwrap());
    assert!(message.contains("is not kept"), "{message}");

    let long = server.session(json!({ "module": "hello", "stdin": "x".repeat(70_000) }));
    assert!(refused(&server, &long).contains("64 KiB"));
    let many = server.session(json!({ "module": "hello", "args": vec!["y".repeat(1000); 70] }));
    assert!(refused(&server, &many).contains("64 KiB"));

    let id = server.session(json!({ "module": "hello", "env_vars": { "SECRET": "never-on-the-disk" } }));
    let _ = server.wait(&id);
    assert_eq!(request_of(&server, &id)["env_vars"]["SECRET"], "never-on-the-disk");
    assert!(server.stop().success());
    server.start_again();
    let message = refused(&server, &id);
    assert!(message.contains("kept in memory"), "{message}");
    let database = std::fs::read(server.state_dir().join("hero_runner.db")).expect("there is a history");
    let holds = |text: &str| database.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&id) && !holds("never-on-the-disk"));
    assert_eq!(
        server.refusal_name("session_request", json!({ "session_id": "ses-zzz" })),
        "session_not_found"
    );
}

#[test]
fn the_command_line_runs_a_session_again() {
    let server = Server::start();
    let folder = server.dir().join("box");
    std::fs::create_dir(&folder).expect("the folder is new");
    std::fs::write(folder.join("note"), "a note\n").expect("the folder is there");
    let dir = format!("{}::/box", folder.display());
    let first = cli(&server, &["run", "--dir", &dir, "--label", "job=note", "files", "read", "/box/note"]);
    assert_eq!(
        (first.status.code(), first.stdout.as_slice()),
        (Some(0), b"a note\n".as_slice()),
        "{first:?}"
    );
    let page = server.call("session_list", json!({ "label": "job=note" }));
    let id = page["sessions"][0]["session_id"].as_str().unwrap();
    let again = cli(&server, &["run", "--again", id]);
    assert_eq!((again.status.code(), &again.stdout), (Some(0), &first.stdout), "{again:?}");
    assert_eq!(
        server.call("session_list", json!({ "label": "job=note" }))["sessions"].as_array().unwrap().len(),
        2
    );

    let missing = cli(&server, &["run", "--again", "ses-zzz"]);
    assert_eq!(missing.status.code(), Some(125), "{missing:?}");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no session ses-zzz"), "{missing:?}");
    let both = cli(&server, &["run", "--again", id, "-e", "A=b"]);
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}
