use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use api::{ErrorCode, LogKind, Outcome};
use serde_json::{Value, json};

use crate::fake::{Answer, Fake};
use crate::run::sse;
use crate::samples::{detail, service, sessions};

fn problem() -> Value {
    json!({ "name": "odd", "file": "/s/odd/config/service.json", "key": "prefix", "reason": "it is taken" })
}

#[test]
fn the_list_is_a_table_and_problems_stand_beside_it() {
    let fake = Fake::new(|ask| match ask.name.as_str() {
        "service_list" | "service_reload" => {
            assert!(ask.params == json!({}) || ask.params == json!({ "name": "hello" }), "{}", ask.params);
            Answer::Result(
                json!({ "services": [service(json!({}))], "problems": [problem()], "gateway": null }),
            )
        }
        other => panic!("{other}"),
    });
    let told = "hero_runner: odd was refused: /s/odd/config/service.json: prefix: it is taken\n";
    for args in [&["services"][..], &["service", "list"]] {
        let seen = fake.run(args);
        assert_eq!((seen.code, seen.err.as_str()), (Some(0), told));
        assert!(seen.out.starts_with("NAME   PREFIX  KIND"), "{}", seen.out);
        assert!(seen.out.contains("\nhello  /hello  listener  ready  -"), "{}", seen.out);
    }
    let seen = fake.run(&["services", "-o", "json"]);
    assert_eq!((&seen.json()["problems"][0]["key"], seen.err.as_str()), (&json!("prefix"), ""));
    // What was asked for is that the files are taken.
    let seen = fake.run(&["services", "reload", "hello"]);
    assert_eq!((seen.code, seen.err.as_str()), (Some(1), told));
}

#[test]
fn one_service_is_shown_with_its_last_probes_and_ends() {
    let fake = Fake::new(|ask| {
        assert_eq!((ask.name.as_str(), &ask.params), ("service_get", &json!({ "name": "hello" })));
        let mut detail = detail(json!({
            "state": "failed", "reason": "too many restarts",
            "instances": [{ "session_id": "ses-1", "state": "running", "pid": 7, "ready": true, "requests": 2 }],
        }));
        detail["spec"]["permissions"] = json!({ "net": ["example.org:443"] });
        detail["probes"] = json!([
            { "at": 1000, "ok": false, "status": null, "latency_us": 2_000_000, "error": "timed out" },
        ]);
        detail["ends"] = json!([{ "session_id": "ses-0", "at": 1000, "reason": "exited with code 3" }]);
        Answer::Result(detail)
    });
    let seen = fake.run(&["services", "show", "hello"]);
    for row in [
        "state         failed\n",
        "reason        too many restarts\n",
        "process       ses-1 pid 7, ready, 2 requests under way\n",
        "net           example.org:443\n",
        "probe         1970-01-01T00:00:01.000Z no answer 2.0 s: timed out\n",
        "end           1970-01-01T00:00:01.000Z ses-0 exited with code 3\n",
    ] {
        assert!(seen.out.contains(row), "{row}{}", seen.out);
    }
    assert_eq!(fake.run(&["services", "show", "hello", "-o", "json"]).json()["spec"]["port"], 15001);
}

#[test]
fn what_can_be_done_is_done_and_the_rest_is_told() {
    let fake = Fake::new(|ask| match (ask.name.as_str(), ask.params["name"].as_str()) {
        (_, Some("gone")) => Answer::Error(ErrorCode::ServiceNotFound),
        ("service_start", _) => Answer::Result(service(json!({ "state": "starting" }))),
        ("service_stop", _) => {
            Answer::Result(service(json!({ "state": "stopped", "reason": "stopped by request" })))
        }
        ("service_restart", _) => Answer::Result(service(json!({}))),
        ("service_remove", _) => Answer::Result(json!({ "ok": true })),
        other => panic!("{other:?}"),
    });
    for (verb, out) in [
        ("start", "hello starting\n"),
        ("stop", "hello stopped: stopped by request\n"),
        ("restart", "hello ready\n"),
        ("rm", "hello\n"),
    ] {
        let seen = fake.run(&["services", verb, "gone", "hello"]);
        assert_eq!((seen.code, seen.out.as_str()), (Some(1), out), "{verb}");
        assert!(seen.err.contains("service gone: service_not_found\n  hint: "), "{}", seen.err);
        assert_eq!(fake.run(&["services", verb, "hello"]).code, Some(0));
        assert_eq!(fake.run(&["services", verb]).code, Some(2));
    }
    assert_eq!(fake.run(&["services", "stop", "hello", "-o", "json"]).json()[0]["state"], "stopped");
    assert_eq!(fake.run(&["services", "rm", "hello", "-o", "json"]).json()["removed"], json!(["hello"]));
}

#[test]
fn a_deployment_uploads_the_module_first() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let digest = format!("sha256:{}", "0".repeat(64));
    let fake = Fake::new(move |ask| {
        seen.lock().unwrap().push(ask.name.clone());
        match ask.name.as_str() {
            "/modules/core" | "/modules/hello" => {
                assert_eq!(&ask.body[..], b"abc");
                Answer::Json(json!({
                    "name": "core", "digest": digest, "kind": "core", "size": 3, "created_at": 1,
                    "artifact": { "state": "interpreted" }, "imports": [], "exports": [],
                }))
            }
            "service_deploy" => {
                assert_eq!(
                    (&ask.params["name"], &ask.params["spec"]["port"]),
                    (&json!("hello"), &json!(15001))
                );
                assert!(ask.params["module_base64"].is_null());
                Answer::Result(detail(json!({})))
            }
            other => panic!("{other}"),
        }
    });
    let (spec, module) = (fake.path().join("service.json"), fake.path().join("m.wasm"));
    std::fs::write(&module, b"abc").unwrap();
    let (spec_text, module_text) = (spec.to_str().unwrap(), module.to_str().unwrap());
    let deploy = ["services", "deploy", "hello", "--spec", spec_text];
    std::fs::write(&spec, r#"{ "prefix": "hello", "port": 15001, "module": "core" }"#).unwrap();
    let done = fake.run(&[&deploy[..], &["--module", module_text]].concat());
    assert_eq!((done.code, done.out.as_str()), (Some(0), "hello ready http://127.0.0.1:14000/hello/\n"));
    std::fs::write(&spec, r#"{ "prefix": "hello", "port": 15001 }"#).unwrap();
    assert_eq!(fake.run(&[&deploy[..], &["--module", module_text]].concat()).code, Some(0));
    assert_eq!(fake.run(&deploy).code, Some(0));
    let expected = ["/modules/core", "service_deploy", "/modules/hello", "service_deploy", "service_deploy"];
    assert_eq!(*asked.lock().unwrap(), expected);

    // What is wrong here is told here.
    std::fs::write(&spec, r#"{ "prefix": "hello", "prot": 15001 }"#).unwrap();
    let wrong = fake.run(&deploy);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.err.contains(&format!("{spec_text}: prot: unknown field")), "{}", wrong.err);
    std::fs::write(&spec, r#"{ "prefix": "hello", "port": 1, "module": "sha256:00" }"#).unwrap();
    assert!(fake.run(&[&deploy[..], &["--module", module_text]].concat()).err.contains("by its digest"));
    assert_eq!(asked.lock().unwrap().len(), expected.len());
}

fn log_page(text: &str) -> Answer {
    let line = json!({ "seq": 4, "ts_ms": 1, "kind": "stdout", "line": text });
    Answer::Result(json!({ "lines": [line], "next_seq": 5, "next_ts_ms": 1, "gap": 0, "end": true }))
}

#[test]
fn logs_are_those_of_the_newest_process() {
    let fake = Fake::new(|ask| match ask.name.as_str() {
        "service_get" => Answer::Result(detail(json!({}))),
        "session_list" => {
            assert_eq!((&ask.params["label"], &ask.params["limit"]), (&json!("service=hello"), &json!(1)));
            Answer::Result(sessions(&["ses-2"]))
        }
        "session_logs" => {
            assert_eq!((&ask.params["session_id"], &ask.params["tail"]), (&json!("ses-2"), &json!(1)));
            log_page("four")
        }
        other => panic!("{other}"),
    });
    let seen = fake.run(&["services", "logs", "hello", "-n", "1"]);
    assert_eq!((seen.code, seen.out.as_str(), seen.err.as_str()), (Some(0), "four\n", ""));
    let none = Fake::new(|ask| match ask.name.as_str() {
        "service_get" => Answer::Result(detail(json!({ "state": "stopped" }))),
        _ => Answer::Result(sessions(&[])),
    });
    for args in [&["services", "logs", "hello"][..], &["services", "logs", "-f", "hello"]] {
        let seen = none.run(args);
        assert!(
            seen.code == Some(1) && seen.err.contains("no process of service hello is known"),
            "{seen:?}"
        );
    }
}

#[test]
fn logs_go_on_with_the_processes_that_follow() {
    let looks = AtomicUsize::new(0);
    let fake = Fake::new(move |ask| match ask.name.as_str() {
        "service_get" => {
            let stopped = looks.load(Ordering::SeqCst) >= 3;
            let state = if stopped { "stopped" } else { "ready" };
            Answer::Result(detail(json!({ "state": state, "reason": stopped.then_some("by request") })))
        }
        // The first is followed; then there are two more, the newest first; then none.
        "session_list" => Answer::Result(match looks.fetch_add(1, Ordering::SeqCst) {
            0 => sessions(&["ses-1"]),
            _ => sessions(&["ses-3", "ses-2", "ses-1"]),
        }),
        path => {
            let id = path.strip_prefix("/sse/session/").unwrap_or_else(|| panic!("{path}"));
            Answer::Sse(sse(&[(LogKind::Stdout, id)], &Outcome::Exited { code: 1 }))
        }
    });
    let seen = fake.run(&["services", "logs", "-f", "hello"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), "ses-1\nses-2\nses-3\n"), "{}", seen.err);
    assert_eq!(seen.err, "hero_runner: hello is stopped: by request\n");
}

#[test]
fn declarations_are_checked_without_a_server() {
    let fake = Fake::absent();
    let schema = fake.run(&["services", "schema"]);
    assert_eq!(schema.json()["required"], json!(["prefix"]));
    let (good, bad) = (fake.path().join("good.json"), fake.path().join("bad.json"));
    std::fs::write(&good, r#"{ "prefix": "a", "port": "auto" }"#).unwrap();
    std::fs::write(&bad, r#"{ "prefix": "a", "port": 1, "health": { "interval_secs": "5" } }"#).unwrap();
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let seen = fake.run(&["services", "check", good]);
    assert_eq!((seen.code, seen.out), (Some(0), format!("{good}: ok\n")));
    let seen = fake.run(&["services", "check", good, bad, "/missing.json"]);
    assert_eq!(seen.code, Some(1));
    let lines: Vec<&str> = seen.out.lines().collect();
    assert_eq!(lines[0], format!("{good}: ok"));
    assert!(lines[1].starts_with(&format!("{bad}: health.interval_secs: invalid type")), "{}", seen.out);
    assert!(lines[2].starts_with("/missing.json: No such file"), "{}", seen.out);
    let told = fake.run(&["services", "check", bad, "-o", "json"]).json();
    assert_eq!((&told[0]["ok"], &told[0]["key"]), (&json!(false), &json!("health.interval_secs")));
}
