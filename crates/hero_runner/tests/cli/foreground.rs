//! `run --module`: a service in the foreground.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use api::{ErrorCode, LogKind, Outcome};
use serde_json::{Value, json};

use crate::fake::{Answer, Ask, Fake, Seen};
use crate::run::sse;
use crate::samples::{detail, service, sessions};

/// A service that is stopped until it is started, and then stands as told.
struct Life {
    state: Mutex<Value>,
    changed: Condvar,
    calls: Mutex<Vec<String>>,
}

impl Life {
    fn set(&self, state: Value) {
        *self.state.lock().expect("no test panics here") = state;
        self.changed.notify_all();
    }

    fn state(&self) -> Value {
        self.state.lock().expect("no test panics here").clone()
    }

    /// Blocks until the service no longer runs.
    fn until_over(&self) {
        let state = self.state.lock().expect("no test panics here");
        let runs = |state: &mut Value| !matches!(state["state"].as_str(), Some("stopped" | "failed"));
        drop(self.changed.wait_while(state, runs).expect("no test panics here"));
    }

    fn answer(&self, ask: &Ask, started: &Value) -> Answer {
        match ask.name.as_str() {
            "service_get" => Answer::Result(detail(self.state())),
            "session_list" => {
                let runs =
                    self.calls.lock().expect("no test panics here").contains(&"service_start".to_owned());
                Answer::Result(if runs {
                    sessions(&["ses-2", "ses-1", "ses-0"])
                } else {
                    sessions(&["ses-0"])
                })
            }
            "service_start" | "service_stop" => {
                self.calls.lock().expect("no test panics here").push(ask.name.clone());
                let stopped = json!({ "state": "stopped", "reason": "stopped by request" });
                self.set(if ask.name == "service_start" { started.clone() } else { stopped });
                Answer::Result(service(self.state()))
            }
            "/sse/session/ses-1" => Answer::Sse(sse(
                &[(LogKind::Stdout, "out"), (LogKind::Stderr, "err")],
                &Outcome::Exited { code: 1 },
            )),
            "/sse/session/ses-2" => {
                self.until_over();
                Answer::Sse(sse(&[(LogKind::Stdout, "last words")], &Outcome::Cancelled))
            }
            other => panic!("{other}"),
        }
    }
}

/// A server whose service stands like this once it was started.
fn serving(started: Value) -> (Fake, Arc<Life>) {
    let life = Arc::new(Life {
        state: Mutex::new(json!({ "state": "stopped" })),
        changed: Condvar::new(),
        calls: Mutex::default(),
    });
    let seen = life.clone();
    (Fake::new(move |ask| seen.answer(&ask, &started)), life)
}

/// Waits for a line on standard error and returns it, with the rest still to be read.
fn until_ready(child: &mut Child) -> (String, BufReader<std::process::ChildStderr>) {
    let mut err = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
    let mut text = String::new();
    while !text.contains("is ready") {
        let count = err.read_line(&mut text).expect("standard error can be read");
        assert!(count > 0, "it ended: {text}");
    }
    (text, err)
}

#[test]
fn it_is_started_followed_and_stopped_with_the_signal_s_code() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let (fake, life) = serving(json!({ "state": "ready" }));
        let mut command = fake.command(&["run", "--module", "hello"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut told, mut err) = until_ready(&mut child);
        let ready =
            "hero_runner: hello is ready: http://127.0.0.1:14000/hello/ (by itself http://127.0.0.1:15001)\n";
        assert!(told.contains(ready), "{told}");
        let pid = child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        std::io::Read::read_to_string(&mut err, &mut told).unwrap();
        let seen = Seen::of(child.wait_with_output().unwrap());
        // Also of the session that followed, and nothing of the one before.
        let mut lines: Vec<&str> = seen.out.lines().collect();
        lines.sort_unstable();
        assert_eq!((seen.code, lines.as_slice()), (Some(code), &["last words", "out"][..]), "{told}");
        assert!(told.contains("err\n"), "{told}");
        assert_eq!(*life.calls.lock().unwrap(), ["service_start", "service_stop"]);
    }
}

#[test]
fn its_failure_is_told_with_the_reason() {
    let (fake, _) = serving(json!({ "state": "failed", "reason": "it ended 11 times in 60 s" }));
    let seen = fake.run(&["run", "--module", "hello"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.err.contains("service hello failed: it ended 11 times in 60 s\n  hint: "), "{seen:?}");
    assert!(seen.out.contains("last words\n"), "{seen:?}");
    let (fake, _) = serving(json!({ "state": "failed", "reason": "no" }));
    let seen = fake.run(&["-o", "json", "run", "--module", "hello"]);
    let last: Value = serde_json::from_str(seen.out.lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({ "service": "hello", "state": "failed", "reason": "no" }));
}

#[test]
fn one_that_somebody_else_stops_is_over() {
    let (fake, life) = serving(json!({ "state": "ready" }));
    let mut command = fake.command(&["run", "--module", "hello"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (_, mut err) = until_ready(&mut child);
    life.set(json!({ "state": "stopped" }));
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut err, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(rest.contains("hello was stopped"), "{rest}");
}

#[test]
fn what_runs_already_or_is_no_service_is_not_started() {
    let (fake, life) = serving(json!({}));
    life.set(json!({ "state": "backoff" }));
    let seen = fake.run(&["run", "--module", "hello"]);
    assert_eq!(seen.code, Some(125));
    assert!(seen.err.contains("service hello runs already (backoff)\n  hint: "), "{seen:?}");
    assert!(seen.err.contains("services stop hello"), "{seen:?}");
    assert!(life.calls.lock().unwrap().is_empty());

    let module = Fake::new(|ask| match ask.name.as_str() {
        "module_get" => Answer::Result(json!({
            "name": "hello", "digest": "sha256:00", "kind": "core", "size": 3, "created_at": 1,
            "artifact": { "state": "interpreted" }, "imports": [], "exports": [],
        })),
        _ => Answer::Error(ErrorCode::ServiceNotFound),
    });
    let seen = module.run(&["run", "--module", "hello"]);
    assert!(seen.code == Some(125) && seen.err.contains("hello is a module and no service"), "{seen:?}");
    let nothing = Fake::new(|_| Answer::Error(ErrorCode::ServiceNotFound));
    assert!(nothing.run(&["run", "--module", "hello"]).err.contains("service_not_found"));
    // Its limits are its declaration's.
    for more in [&["--memory", "64M"][..], &["hello"], &["--net", "any"], &["-d"]] {
        let seen = fake.run(&[&["run", "--module", "hello"], more].concat());
        assert_eq!(seen.code, Some(2), "{more:?}");
    }
}
