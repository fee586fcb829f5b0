use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use api::ErrorCode;
use serde_json::{Value, json};

use crate::fake::{Answer, Fake};

/// A template as the server shows it.
pub(crate) fn template(name: &str, spec: &Value, state: &str, more: &Value) -> Value {
    let mut info = json!({
        "name": name, "spec": spec, "origin": "created", "state": state, "why": null, "retry_in_ms": null,
        "digest": null, "pid": null, "warm_ms": null, "pss_kb": null, "parked": 0, "running": 0,
        "sessions_total": 0, "failures": 0,
    });
    for (name, field) in more.as_object().unwrap() {
        info[name] = field.clone();
    }
    info
}

/// A module as `module_get` and an upload show it.
fn module(name: &str, artifact: &str) -> Value {
    json!({
        "name": name, "digest": "sha256:00", "kind": "core", "size": 3, "created_at": 1,
        "artifact": { "state": artifact }, "imports": [], "exports": [],
    })
}

/// A server whose template goes through these states, the last for good; and what `template_create` was told.
fn going_through(states: Vec<(&'static str, Value)>, artifact: &'static str) -> (Fake, Arc<Mutex<Value>>) {
    let asked = Arc::new(Mutex::new(Value::Null));
    let (seen, step) = (asked.clone(), AtomicUsize::new(0));
    let fake = Fake::new(move |ask| {
        if ask.name == "template_create" {
            *seen.lock().unwrap() = ask.params.clone();
        }
        let spec = seen.lock().unwrap().clone();
        match ask.name.as_str() {
            "template_create" | "template_get" => {
                let at = step.fetch_add(1, Ordering::SeqCst).min(states.len() - 1);
                let (state, more) = &states[at];
                Answer::Result(template(spec["name"].as_str().unwrap(), &spec, state, more))
            }
            "module_get" => match ask.params["name"].as_str().unwrap() {
                digest if digest.starts_with("sha256:") => Answer::Error(ErrorCode::ModuleNotFound),
                name => Answer::Result(module(name, artifact)),
            },
            path if path.starts_with("/modules") => Answer::Json(module("m", "interpreted")),
            other => panic!("{other}"),
        }
    });
    (fake, asked)
}

#[test]
fn create_asks_for_what_the_arguments_say() {
    let (fake, asked) = going_through(vec![("warming", json!({}))], "interpreted");
    let dir = format!("{}::/d:rw", fake.path().display());
    let args = [
        &["templates", "create", "t", "--module", "m", "--warm", "export:begin", "--arg", "-c", "--arg", "x"],
        &["-e", "A=b=c", "--dir", &dir, "--memory", "64M", "--min-spare", "1", "--max-spare", "3"][..],
        &["--ttl", "10m"],
    ];
    let seen = fake.run(&args.concat());
    assert_eq!((seen.code, seen.out.as_str(), seen.err.as_str()), (Some(0), "t warming\n", ""));
    let host = asked.lock().unwrap()["dirs"][0]["host"].clone();
    let expected = json!({
        "name": "t", "module": "m", "warm": "export:begin", "args": ["-c", "x"], "env_vars": { "A": "b=c" },
        "dirs": [{ "host": host, "guest": "/d", "mode": "read-write" }], "memory_limit_mb": 64, "min_spare": 1,
        "max_spare": 3, "ttl_s": 600,
    });
    assert_eq!(*asked.lock().unwrap(), expected);
    for wrong in [&["--warm", "hot"][..], &["--ttl", "5"], &["--dir", "/none"]] {
        let args = [&["templates", "create", "t", "--module", "m"], wrong].concat();
        assert_eq!(fake.run(&args).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn create_uploads_a_file_and_waits_until_the_template_is_warm() {
    let steps = vec![("warming", json!({})), ("warming", json!({})), ("warm", json!({ "warm_ms": 12 }))];
    let (fake, asked) = going_through(steps, "interpreted");
    let file = fake.path().join("m.wasm");
    std::fs::write(&file, b"abc").unwrap();
    let seen = fake.run(&["templates", "create", "t", "--module", file.to_str().unwrap(), "--wait"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), "t warm, 12.0 ms\n"), "{}", seen.err);
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(*asked.lock().unwrap(), json!({ "name": "t", "module": digest, "warm": "instantiate" }));
}

#[test]
fn a_wait_ends_with_the_reason_of_a_failure() {
    let failed = json!({ "why": "it ended before it read", "failures": 1, "retry_in_ms": 5 });
    let (fake, _) = going_through(vec![("warming", json!({})), ("failed", failed)], "interpreted");
    let seen = fake.run(&["templates", "create", "t", "--module", "m", "--wait"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(1), ""));
    let told = "hero_runner: template t did not become warm: it ended before it read\n  hint: `hero_runner templates show t` ";
    assert!(seen.err.starts_with(told), "{}", seen.err);
}

#[test]
fn a_failure_while_the_module_is_compiled_is_not_the_last_word() {
    let failed = json!({ "why": "too slow", "failures": 1 });
    let steps =
        vec![("warming", json!({})), ("failed", failed.clone()), ("failed", failed), ("warm", json!({}))];
    let (fake, _) = going_through(steps, "compiling");
    let seen = fake.run(&["templates", "create", "t", "--module", "m", "--wait"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), "t warm\n"), "{}", seen.err);
}

#[test]
fn nobody_waits_for_a_template_that_is_warmed_by_its_first_session() {
    let (fake, _) = going_through(vec![("idle", json!({}))], "interpreted");
    let seen = fake.run(&["templates", "create", "t", "--module", "m", "--ttl", "500ms", "--wait"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), "t idle\n"));
    assert_eq!(seen.err, "hero_runner: t becomes warm with its first session\n");
}

#[test]
fn templates_are_listed_shown_and_removed() {
    let fake = Fake::new(|ask| match ask.name.as_str() {
        "template_list" => Answer::Result(json!({ "templates": [] })),
        "template_get" => {
            assert_eq!(ask.params, json!({ "name": "t" }));
            let more = json!({ "why": "gone\u{1b}[2J", "failures": 2, "retry_in_ms": 4000 });
            Answer::Result(template("t", &json!({ "module": "m" }), "failed", &more))
        }
        "template_remove" if ask.params["name"] == "b" => Answer::Error(ErrorCode::TemplateNotFound),
        "template_remove" => Answer::Result(json!({ "ok": true })),
        other => panic!("{other}"),
    });
    let heading = "NAME  MODULE  WARM  STATE  PARKED  RUNNING  SESSIONS  MEMORY  WARMED IN\n";
    assert_eq!(fake.run(&["templates"]).out, heading);
    assert_eq!(fake.run(&["templates", "list", "-o", "json"]).json(), json!([]));
    let shown = fake.run(&["templates", "show", "t"]).out;
    assert!(shown.contains("why          gone\u{fffd}[2J\n") && shown.contains("in 4.0 s\n"), "{shown}");
    assert_eq!(fake.run(&["templates", "show", "t", "-o", "json"]).json()["failures"], 2);
    let seen = fake.run(&["templates", "rm", "a", "b", "c"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(1), "a\nc\n"));
    assert!(
        seen.err.starts_with("hero_runner: cannot remove template b: template_not_found\n"),
        "{}",
        seen.err
    );
    assert_eq!(fake.run(&["templates", "rm"]).code, Some(2));
}

#[test]
fn a_runtime_is_a_template_with_the_recipe_of_its_interpreter() {
    let warm = || vec![("warming", json!({})), ("warm", json!({ "warm_ms": 12 }))];
    let (fake, asked) = going_through(warm(), "compiling");
    let file = fake.path().join("python-3.12.wasm");
    std::fs::write(&file, b"abc").unwrap();
    let seen = fake.run(&["runtime", "add", "py", file.to_str().unwrap(), "--arg", "-B", "--ttl", "1h"]);
    assert_eq!(
        seen.out, "py is warm after 12.0 ms; run a script with `hero_runner run FILE.py`\n",
        "{}",
        seen.err
    );
    assert_eq!(
        seen.err,
        "hero_runner: py is compiled in the background; scripts run now, and faster once it is done\n"
    );
    let request = asked.lock().unwrap().clone();
    let bootstrap = include_str!("../../../../services/runtimes/python.py");
    let expected = json!({
        "name": "py", "module": "py", "warm": "stdin", "args": ["-B", "-c", bootstrap], "ttl_s": 3600,
        "script": { "pass": "envelope", "extensions": ["py"], "interpreters": ["python", "python3"] },
    });
    assert_eq!(request, expected);

    let (fake, asked) = going_through(warm(), "interpreted");
    let seen = fake.run(&["runtime", "add", "js", "qjs", "--ext", ".mjs", "--no-wait"]);
    assert_eq!((seen.code, seen.err.as_str()), (Some(0), ""));
    assert_eq!(seen.out, "js is warming; run a script with `hero_runner run FILE.mjs`\n");
    let request = asked.lock().unwrap().clone();
    let bootstrap = include_str!("../../../../services/runtimes/quickjs.js");
    assert_eq!(request["args"], json!(["--std", "--eval", bootstrap]));
    assert_eq!((&request["module"], &request["script"]["extensions"]), (&json!("qjs"), &json!(["mjs"])));
    assert_eq!(request["script"]["interpreters"], json!(["qjs", "quickjs", "node"]));

    let (fake, asked) = going_through(warm(), "interpreted");
    let seen = fake.run(&["runtime", "add", "echo", "echo", "--like", "stdin"]);
    assert!(seen.out.ends_with("`hero_runner run --runtime echo FILE`\n"), "{seen:?}");
    let expected =
        json!({ "name": "echo", "module": "echo", "warm": "stdin", "script": { "pass": "stdin" } });
    assert_eq!(*asked.lock().unwrap(), expected);

    let (fake, asked) = going_through(warm(), "interpreted");
    let args = ["runtime", "add", "x", "python", "--like", "envelope", "--interpreter", "xx"];
    assert_eq!(fake.run(&args).code, Some(0));
    let script = json!({ "pass": "envelope", "interpreters": ["xx"] });
    assert_eq!(
        *asked.lock().unwrap(),
        json!({ "name": "x", "module": "python", "warm": "stdin", "script": script })
    );
}

#[test]
fn runtimes_are_the_templates_that_run_scripts() {
    let fake = Fake::new(|ask| match ask.name.as_str() {
        "template_list" => {
            let script = json!({ "pass": "envelope", "extensions": ["py", "pyw"] });
            let python = json!({ "module": "cpython", "warm": "stdin", "script": script });
            let warm = json!({ "sessions_total": 3, "pss_kb": 2048 });
            Answer::Result(json!({ "templates": [
                template("echo", &json!({ "module": "echo" }), "warm", &json!({})),
                template("python", &python, "warm", &warm),
            ] }))
        }
        "template_remove" => Answer::Error(ErrorCode::InvalidState),
        other => panic!("{other}"),
    });
    let expected = "\
NAME    MODULE   EXTENSIONS  INTERPRETERS  PASS      STATE  SCRIPTS  MEMORY
python  cpython  py pyw      -             envelope  warm   3        2.0 MiB
";
    assert_eq!(fake.run(&["runtime"]).out, expected);
    assert_eq!(fake.run(&["runtimes", "list", "-o", "json"]).json()[0]["name"], "python");
    let seen = fake.run(&["runtime", "rm", "python"]);
    assert_eq!(seen.code, Some(1));
    assert!(seen.err.contains("cannot remove runtime python: invalid_state"), "{}", seen.err);
}
