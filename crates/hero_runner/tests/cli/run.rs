use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use api::{ErrorCode, LogKind, LogLine, Outcome};
use serde_json::json;

use crate::fake::{Answer, Fake, Seen};

pub(crate) fn sse(lines: &[(LogKind, &str)], outcome: &Outcome) -> String {
    let mut text = "event: state\ndata: {\"state\":\"running\"}\n\n".to_owned();
    for (seq, (kind, line)) in lines.iter().enumerate() {
        let line = LogLine {
            seq: seq as u64,
            ts_ms: 0,
            kind: *kind,
            line: (*line).into(),
            base64: None,
            partial: false,
        };
        let data = serde_json::to_string(&line).unwrap();
        let _ = write!(text, "id: {seq}\nevent: {}\ndata: {data}\n\n", kind.name());
    }
    text + &format!("event: end\ndata: {}\n\n", json!({ "outcome": outcome, "state": outcome.state() }))
}

/// A server with one session that ends so.
fn ending(outcome: Outcome) -> Fake {
    Fake::new(move |ask| match ask.name.as_str() {
        "session_start" => Answer::Result(json!({ "session_id": "ses-1" })),
        "/sse/session/ses-1" => Answer::Sse(sse(
            &[(LogKind::Stdout, "out"), (LogKind::Stderr, "err"), (LogKind::Host, "h")],
            &outcome,
        )),
        other => panic!("{other}"),
    })
}

#[test]
fn output_goes_where_it_belongs_and_the_code_is_the_guests() {
    let seen = ending(Outcome::Exited { code: 7 }).run(&["run", "hello"]);
    assert_eq!((seen.code, seen.out.as_str(), seen.err.as_str()), (Some(7), "out\n", "err\n[host] h\n"));
}

#[test]
fn every_other_end_has_its_code_and_is_explained() {
    let trap = Outcome::Trapped { trap: "unreachable".into(), message: "it was reached".into() };
    let table = [
        (trap, 134, "ses-1 trapped (unreachable): it was reached"),
        (Outcome::TimedOut, 124, "ses-1 timed out"),
        (Outcome::MemoryLimit, 137, "ses-1 reached its memory limit"),
        (Outcome::Killed { signal: 9 }, 137, "ses-1 killed by signal 9"),
        (Outcome::Cancelled, 143, "ses-1 cancelled"),
        (Outcome::WorkerLost, 125, "ses-1 its worker was lost"),
    ];
    for (outcome, code, text) in table {
        let seen = ending(outcome).run(&["run", "hello"]);
        assert_eq!(seen.code, Some(code));
        assert!(seen.err.contains(&format!("\nhero_runner: {text}")), "{}", seen.err);
    }
}

#[test]
fn the_request_says_what_the_arguments_say() {
    let fake = Fake::new(|ask| match ask.name.as_str() {
        "session_start" => {
            let dir = ask.params["dirs"][0]["host"].as_str().unwrap().to_owned();
            let expected = json!({
                "module": "hello", "args": ["-x", "--y", "z"], "env_vars": { "A": "b=c", "HOME": ask.params["env_vars"]["HOME"] },
                "working_dir": "/d", "stdin_open": false, "dirs": [{ "host": dir, "guest": "/d", "mode": "read-write" }],
                "timeout_ms": 1500, "memory_limit_mb": 64, "labels": { "k": "v" },
            });
            assert_eq!(ask.params, expected);
            Answer::Result(json!({ "session_id": "ses-9" }))
        }
        other => panic!("{other}"),
    });
    let dir = format!("{}::/d:rw", fake.path().display());
    let seen = fake.run(&[
        "run",
        "-d",
        "-e",
        "A=b=c",
        "-e",
        "HOME",
        "--dir",
        &dir,
        "-w",
        "/d",
        "--timeout",
        "1s 500ms",
        "--memory",
        "64M",
        "--label",
        "k=v",
        "hello",
        "-x",
        "--y",
        "z",
    ]);
    assert_eq!((seen.code, seen.out.as_str(), seen.err.as_str()), (Some(0), "ses-9\n", ""));
}

#[test]
fn connections_are_granted_one_by_one_or_all() {
    let fake = Fake::new(|ask| {
        let granted = &ask.params["permissions"]["net"];
        let id = if granted == &json!(true) { "ses-any" } else { "ses-some" };
        assert!(id == "ses-any" || granted == &json!(["example.org:443", "[::1]:*"]), "{}", ask.params);
        Answer::Result(json!({ "session_id": id }))
    });
    let seen = fake.run(&["run", "-d", "--net", "Example.org:443", "--net", "[::1]:*", "hello"]);
    assert_eq!(seen.out, "ses-some\n", "{}", seen.err);
    assert_eq!(fake.run(&["run", "-d", "--net", "a:1", "--net", "any", "hello"]).out, "ses-any\n");
    let wrong = fake.run(&["run", "--net", "example.org", "hello"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("host:port"), "{wrong:?}");
}

#[test]
fn a_file_is_uploaded_once_and_then_known() {
    let uploads = Arc::new(AtomicUsize::new(0));
    let count = uploads.clone();
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let detail = json!({
        "name": digest, "digest": digest, "kind": "core", "size": 3, "created_at": 1,
        "artifact": { "state": "interpreted" }, "imports": [], "exports": [],
    });
    let fake = Fake::new(move |ask| match ask.name.as_str() {
        "module_get" if count.load(Ordering::SeqCst) == 0 => Answer::Error(ErrorCode::ModuleNotFound),
        "module_get" => Answer::Result(detail.clone()),
        "/modules" => {
            assert_eq!(&ask.body[..], b"abc");
            count.fetch_add(1, Ordering::SeqCst);
            Answer::Json(detail.clone())
        }
        "session_start" => {
            assert_eq!(ask.params["module"], digest);
            Answer::Result(json!({ "session_id": "ses-1" }))
        }
        other => panic!("{other}"),
    });
    let file = fake.path().join("m.wasm");
    std::fs::write(&file, b"abc").unwrap();
    for _ in 0..2 {
        assert_eq!(fake.run(&["run", "-d", file.to_str().unwrap()]).code, Some(0));
    }
    assert_eq!(uploads.load(Ordering::SeqCst), 1);
}

#[test]
fn standard_input_is_forwarded_to_its_end() {
    let input = Arc::new((Mutex::new((Vec::new(), false)), Condvar::new()));
    let state = input.clone();
    let fake = Fake::new(move |ask| match ask.name.as_str() {
        "session_start" => {
            assert_eq!(ask.params["stdin_open"], true);
            Answer::Result(json!({ "session_id": "ses-1" }))
        }
        "session_stdin" => {
            use base64::Engine;
            let mut state_now = state.0.lock().unwrap();
            if let Some(text) = ask.params["base64"].as_str() {
                state_now.0.extend(base64::prelude::BASE64_STANDARD.decode(text).unwrap());
            }
            state_now.1 = ask.params["close"] == true;
            state.1.notify_all();
            Answer::Result(json!({ "ok": true }))
        }
        "/sse/session/ses-1" => {
            drop(state.1.wait_while(state.0.lock().unwrap(), |state| !state.1).unwrap());
            Answer::Sse(sse(&[], &Outcome::Exited { code: 0 }))
        }
        other => panic!("{other}"),
    });
    let mut child = fake.command(&["run", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
    let bytes: Vec<u8> = (0..700_000).map(|at: usize| (at % 251) as u8).collect();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(input.0.lock().unwrap().0 == bytes);
}

/// A server whose session runs until it is stopped.
fn endless() -> (Fake, Arc<(Mutex<bool>, Condvar)>) {
    let stopped = Arc::new((Mutex::new(false), Condvar::new()));
    let state = stopped.clone();
    let following = Arc::new((Mutex::new(false), Condvar::new()));
    let seen = following.clone();
    let fake = Fake::new(move |ask| match ask.name.as_str() {
        "session_start" => Answer::Result(json!({ "session_id": "ses-1" })),
        "session_stop" => {
            *state.0.lock().unwrap() = true;
            state.1.notify_all();
            Answer::Result(json!({ "ok": true }))
        }
        "/sse/session/ses-1" => {
            *seen.0.lock().unwrap() = true;
            seen.1.notify_all();
            drop(state.1.wait_while(state.0.lock().unwrap(), |stopped| !*stopped).unwrap());
            Answer::Sse(sse(&[(LogKind::Stdout, "last words")], &Outcome::Cancelled))
        }
        other => panic!("{other}"),
    });
    (fake, following)
}

#[test]
fn signals_stop_the_session_and_its_last_words_are_heard() {
    for (signal, code) in [(2, 130), (15, 143), (1, 129)] {
        let (fake, following) = endless();
        let mut command = fake.command(&["run", "spin"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(following.1.wait_while(following.0.lock().unwrap(), |seen| !*seen).unwrap());
        let pid = child.id().to_string();
        std::process::Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap();
        let seen = Seen::of(child.wait_with_output().unwrap());
        assert_eq!((seen.code, seen.out.as_str()), (Some(code), "last words\n"), "{}", seen.err);
    }
}

#[test]
fn a_reader_that_leaves_stops_the_session() {
    let stopped = Arc::new(AtomicUsize::new(0));
    let count = stopped.clone();
    let fake = Fake::new(move |ask| match ask.name.as_str() {
        "session_start" => Answer::Result(json!({ "session_id": "ses-1" })),
        "session_stop" => {
            count.fetch_add(1, Ordering::SeqCst);
            Answer::Result(json!({ "ok": true }))
        }
        _ => {
            let lines: Vec<_> = (0..20_000).map(|_| (LogKind::Stdout, "some line")).collect();
            Answer::Sse(sse(&lines, &Outcome::Exited { code: 0 }))
        }
    });
    let mut child = fake.command(&["run", "flood"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(141));
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(stopped.load(Ordering::SeqCst), 1);
}

#[test]
fn our_own_failures_are_told_apart_from_the_guests() {
    let fake = Fake::absent();
    let seen = fake.run(&["run", "hello"]);
    assert_eq!(seen.code, Some(125));
    assert!(seen.err.starts_with("hero_runner: no server listens on "), "{}", seen.err);
    assert!(seen.err.ends_with("\n  hint: start it with `hero_runner --start`\n"), "{}", seen.err);
    assert_eq!(fake.run(&["run", "./missing.wasm"]).code, Some(125));
    assert_eq!(fake.run(&["run", "--timeout", "5", "hello"]).code, Some(2));
    let refused = Fake::new(|_| Answer::Error(ErrorCode::QueueFull)).run(&["run", "hello", "-o", "json"]);
    // After the module's name everything belongs to the program.
    assert_eq!(refused.code, Some(125));
    let refused = Fake::new(|_| Answer::Error(ErrorCode::QueueFull)).run(&["-o", "json", "run", "hello"]);
    let error: serde_json::Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!(error["error"]["code_name"], "queue_full");
}

#[test]
fn json_streams_lines_and_ends_with_the_result() {
    let fake = Fake::new(|ask| match ask.name.as_str() {
        "session_start" => Answer::Result(json!({ "session_id": "ses-1" })),
        "session_result" => Answer::Result(json!({
            "success": true, "outcome": { "kind": "exited", "code": 0 }, "exit_code": 0, "stdout": "a\n", "stderr": "",
            "truncated": false, "started_at": 1, "duration_ms": 1.5, "cpu_ms": 1, "max_rss_kb": 1,
        })),
        _ => Answer::Sse(sse(&[(LogKind::Stdout, "a")], &Outcome::Exited { code: 0 })),
    });
    let seen = fake.run(&["run", "-o", "json", "hello"]);
    let lines: Vec<serde_json::Value> =
        seen.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["line"], "a");
    assert_eq!(lines[1]["result"]["exit_code"], 0);
    assert_eq!(lines.len(), 2);
}
