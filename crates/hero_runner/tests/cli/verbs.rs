use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::{ErrorCode, LogKind, LogLine};
use serde_json::{Value, json};

use crate::fake::{Answer, Fake};

fn session(id: &str, created_at: u64, state: &str) -> Value {
    json!({
        "session_id": id, "module": "hello", "digest": "sha256:00", "state": state, "ready": false, "outcome": null,
        "child_pid": 1, "args": [], "labels": {}, "created_at": created_at, "started_at": 1, "ended_at": null,
        "duration_ms": 2.0, "cpu_ms": null, "max_rss_kb": null, "start": "parked", "mode": "compiled", "limits": {},
        "log_next_seq": 1, "log_dropped": 0,
    })
}

#[test]
fn ps_shows_what_has_not_ended_newest_first() {
    let fake = Fake::new(|ask| {
        let id = match ask.params["state"].as_str() {
            Some("running") => ("ses-old", 1, "running"),
            Some("pending") => ("ses-new", 2, "pending"),
            other => panic!("{other:?}"),
        };
        Answer::Result(json!({ "sessions": [session(id.0, id.1, id.2)], "next": null }))
    });
    let seen = fake.run(&["ps"]);
    let ids: Vec<&str> = seen.out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(ids, ["ID", "ses-new", "ses-old"]);
    assert_eq!(fake.run(&["ps", "-o", "json"]).json()[1]["session_id"], "ses-old");
}

#[test]
fn ps_reads_page_after_page() {
    let fake = Fake::new(|ask| {
        assert_eq!(ask.params["label"], "k=v");
        let (id, next) =
            if ask.params["cursor"].is_null() { ("ses-2", json!("c")) } else { ("ses-1", json!(null)) };
        Answer::Result(json!({ "sessions": [session(id, 1, "running")], "next": next }))
    });
    let seen = fake.run(&["ps", "-a", "--label", "k=v"]);
    assert_eq!(seen.out.lines().count(), 3);
    let cut = fake.run(&["ps", "-a", "--label", "k=v", "-n", "1"]);
    assert_eq!((cut.out.lines().count(), cut.err.as_str()), (2, ""));
}

#[test]
fn ps_says_when_it_does_not_show_everything() {
    let fake = Fake::new(|ask| {
        let sessions: Vec<_> =
            (0..ask.params["limit"].as_u64().unwrap()).map(|_| session("ses-1", 1, "running")).collect();
        Answer::Result(json!({ "sessions": sessions, "next": "c" }))
    });
    let seen = fake.run(&["ps", "-a"]);
    assert_eq!(seen.out.lines().count(), 101);
    assert_eq!(seen.err, "hero_runner: there are more than these 100; `-n COUNT` shows them\n");
}

fn line(seq: u64, kind: LogKind, text: &str) -> LogLine {
    LogLine { seq, ts_ms: 1000 * seq, kind, line: text.into(), base64: None, partial: false }
}

#[test]
fn logs_shows_the_tail_and_then_follows_behind_it() {
    let fake = Fake::new(|ask| match ask.name.as_str() {
        "session_logs" => {
            assert_eq!((&ask.params["session_id"], &ask.params["tail"]), (&json!("ses-7f"), &json!(1)));
            let lines = [line(4, LogKind::Stdout, "four")];
            Answer::Result(json!({ "lines": lines, "next_seq": 5, "next_ts_ms": 0, "gap": 4, "end": false }))
        }
        "/sse/session/ses-7f" => {
            let data = serde_json::to_string(&line(5, LogKind::Stderr, "five")).unwrap();
            let end = r#"{"outcome":{"kind":"exited","code":3},"state":"failed"}"#;
            Answer::Sse(format!("id: 5\nevent: stderr\ndata: {data}\n\nevent: end\ndata: {end}\n\n"))
        }
        other => panic!("{other}"),
    });
    let seen = fake.run(&["logs", "7f", "-f", "-n", "1", "-t"]);
    assert_eq!(seen.code, Some(0));
    assert_eq!(seen.out, "1970-01-01T00:00:04.000Z four\n");
    assert_eq!(seen.err, "1970-01-01T00:00:05.000Z five\n");
}

#[test]
fn logs_reads_every_page_and_tells_of_what_is_missing() {
    let fake = Fake::new(|ask| {
        let after = ask.params["after_seq"].as_u64();
        let first = after.map_or(7, |after| after + 1);
        let count = if after.is_none() { 1000 } else { 2 };
        let lines: Vec<_> = (first..first + count).map(|seq| line(seq, LogKind::Stdout, "x")).collect();
        let gap = if after.is_none() { 7 } else { 0 };
        Answer::Result(
            json!({ "lines": lines, "next_seq": first + count, "next_ts_ms": 0, "gap": gap, "end": after.is_some() }),
        )
    });
    let seen = fake.run(&["logs", "ses-1"]);
    assert_eq!(seen.out.lines().count(), 1002);
    assert_eq!(seen.err, "hero_runner: 7 lines are missing here\n");
}

#[test]
fn stop_stops_what_it_can() {
    let fake = Fake::new(|ask| {
        assert_eq!(ask.params["grace_ms"], 100);
        match ask.params["session_id"].as_str() {
            Some("ses-b") => Answer::Error(ErrorCode::SessionNotFound),
            _ => Answer::Result(json!({ "ok": true })),
        }
    });
    let seen = fake.run(&["stop", "--grace", "100ms", "a", "ses-b", "c"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(1), "ses-a\nses-c\n"));
    assert!(seen.err.contains("cannot stop ses-b: session_not_found\n  hint: "), "{}", seen.err);
}

#[test]
fn wait_has_the_guests_code_or_gives_up() {
    let calls = AtomicUsize::new(0);
    let fake = Fake::new(move |ask| {
        let wait = ask.params["wait_ms"].as_u64().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait.min(20)));
        if ask.params["session_id"] == "ses-slow" || calls.fetch_add(1, Ordering::SeqCst) == 0 {
            return Answer::Result(Value::Null);
        }
        Answer::Result(json!({
            "success": false, "outcome": { "kind": "exited", "code": 9 }, "exit_code": 9, "stdout": "", "stderr": "",
            "truncated": false, "started_at": 1, "duration_ms": 1.5, "cpu_ms": 1, "max_rss_kb": 1,
        }))
    });
    let seen = fake.run(&["wait", "1"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(9), "ses-1 exited with code 9\n"));
    assert_eq!(fake.run(&["wait", "slow", "--timeout", "50ms"]).code, Some(124));
    assert_eq!(Fake::absent().run(&["wait", "1"]).code, Some(125));
}

#[test]
fn inspect_stats_and_modules_read_well() {
    let fake = Fake::new(|ask| match ask.name.as_str() {
        "session_get" => Answer::Result(session("ses-1", 0, "running")),
        "session_result" => Answer::Result(Value::Null),
        "stats" => Answer::Result(serde_json::to_value(api::stats::Stats::default()).unwrap()),
        "module_list" => Answer::Result(json!({ "modules": [] })),
        "module_remove" => Answer::Error(ErrorCode::ModuleInUse),
        other => panic!("{other}"),
    });
    let seen = fake.run(&["inspect", "1"]);
    assert!(
        seen.out.contains("id        ses-1\n") && seen.out.contains("code      compiled\n"),
        "{}",
        seen.out
    );
    assert_eq!(fake.run(&["inspect", "1", "-o", "json"]).json()["result"], Value::Null);
    assert!(fake.run(&["stats"]).out.contains("running    0 of 0\n"));
    assert_eq!(fake.run(&["modules"]).out, "NAME  DIGEST  KIND  SIZE  AGE  STATE\n");
    let refused = fake.run(&["modules", "rm", "hello"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("cannot remove module hello: module_in_use"), "{}", refused.err);
}

#[test]
fn doctor_tells_what_to_do_and_never_needs_a_server() {
    let fake = Fake::absent();
    let seen = fake.run(&["doctor", "-o", "json"]);
    let checks = seen.json()["checks"].as_array().unwrap().clone();
    assert!(checks.len() >= 14);
    for check in &checks {
        assert!(check["level"] == "ok" || check["hint"].is_string(), "{check}");
    }
    let fails = checks.iter().any(|check| check["level"] == "fail");
    assert_eq!(seen.code, Some(i32::from(fails)));
    let text = fake.run(&["doctor"]);
    assert!(text.out.contains("warn  server") && !text.out.contains('\x1b'), "{}", text.out);
    assert!(text.out.contains("warn  pages") && !text.out.contains("gateway "), "{}", text.out);
}

#[test]
fn completions_and_usage() {
    let fake = Fake::absent();
    for shell in ["bash", "zsh", "fish"] {
        assert!(fake.run(&["completions", shell]).out.contains("hero_runner"));
    }
    for args in
        [&["frobnicate"][..], &[], &["--start", "ps"], &["-q"], &["logs"], &["stop"], &["ps", "-n", "x"]]
    {
        assert_eq!(fake.run(args).code, Some(2), "{args:?}");
    }
    assert_eq!(fake.run(&["--help"]).code, Some(0));
    assert_eq!(fake.run(&["--version"]).out, format!("hero_runner {}\n", api::VERSION));
    // A pipe whose reader is gone is no reason to panic.
    let mut child =
        fake.command(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(141), 0));
}
