//! Templates that are asked for: sessions that go on from where the module stood.

use std::collections::HashSet;

use e2e::{Server, Setup, Value, eventually, json};

/// Waits until a template is warm.
fn until_warm(server: &Server, name: &str) -> Value {
    eventually("the template is warm", || {
        let shown = server.call("template_get", json!({ "name": name }));
        assert_ne!(shown["state"], "failed", "{shown:#}");
        (shown["state"] == "warm").then_some(shown)
    })
}

fn until_failed(server: &Server, name: &str) -> String {
    eventually("the template fails", || {
        let shown = server.call("template_get", json!({ "name": name }));
        (shown["state"] == "failed").then(|| shown["why"].as_str().expect("a reason").to_owned())
    })
}

/// A template of the guest that does what its arguments say, warm at its first read.
fn reader(server: &Server, name: &str, args: &[&str]) -> Value {
    let asked = json!({ "name": name, "module": "faulty_reader", "warm": "stdin", "args": args });
    let _ = server.call("template_create", asked);
    until_warm(server, name)
}

/// Runs a session of a template that is warm; its result.
fn run(server: &Server, name: &str, stdin: &str) -> Value {
    let started =
        server.call("session_start", json!({ "template": name, "stdin": stdin, "wait_ms": 30_000 }));
    let info = server.info(started["session_id"].as_str().expect("an id"));
    assert_eq!(info["start"], "warm", "{info:#}");
    assert_eq!(info["template"], name);
    started["result"].clone()
}

#[test]
fn a_session_goes_on_where_the_program_first_read() {
    let server = Server::start();
    let shown =
        reader(&server, "later", &["say", "before", "warn", "aside", "all", "say", "after", "exit", "7"]);
    assert_eq!((&shown["origin"], &shown["spec"]["warm"]), (&json!("created"), &json!("stdin")));
    for input in ["one", "two", ""] {
        let result = run(&server, "later", input);
        assert_eq!(
            result["stdout"].as_str().unwrap(),
            format!("before\nall Ok({}) {input:?}\nafter\n", input.len())
        );
        assert_eq!((&result["stderr"], &result["exit_code"]), (&json!("aside\n"), &json!(7)));
    }
    let shown = server.call("template_get", json!({ "name": "later" }));
    assert_eq!(shown["sessions_total"], 3);
}

#[test]
fn what_was_printed_before_keeps_its_place() {
    let server = Server::start();
    reader(&server, "mixed", &["say", "1", "warn", "2", "say", "3", "byte", "warn", "4", "say", "5"]);
    let id = server.session(json!({ "template": "mixed", "stdin": "x" }));
    let _ = server.wait(&id);
    let lines: Vec<String> = server
        .lines(&id)
        .iter()
        .map(|line| format!("{} {}", line["kind"].as_str().unwrap(), line["line"].as_str().unwrap()))
        .collect();
    assert_eq!(lines, ["stdout 1", "stderr 2", "stdout 3", "stdout byte x", "stderr 4", "stdout 5"]);
}

#[test]
fn standard_input_may_be_read_in_any_way() {
    let server = Server::start();
    reader(&server, "bytes", &["byte", "byte", "byte", "byte"]);
    assert_eq!(run(&server, "bytes", "abc")["stdout"], "byte a\nbyte b\nbyte c\nend\n");
    reader(&server, "polls", &["poll", "20000", "all", "poll", "20000", "byte", "byte"]);
    let out = run(&server, "polls", "abc")["stdout"].clone();
    let ended = "poll 0 1: user 7 type 1 bytes 0 flags 1";
    let out = out.as_str().unwrap();
    assert!(out.starts_with("poll 0 1: user 7 type 1 bytes 3 flags 0\nall Ok(3) \"abc\"\n"), "{out}");
    assert!(out.ends_with(&format!("{ended}\nend\nend\n")), "{out}");
    // Input that comes later, piece by piece.
    let id = server.session(json!({ "template": "polls", "stdin_open": true }));
    for piece in ["x", "y"] {
        let _ = server.call("session_stdin", json!({ "session_id": id, "data": piece }));
    }
    let _ = server.call("session_stdin", json!({ "session_id": id, "close": true }));
    assert!(server.wait(&id)["stdout"].as_str().unwrap().contains("all Ok(2) \"xy\"\n"));
}

#[test]
fn a_clock_wakes_a_program_that_waits_for_input() {
    let server = Server::start();
    reader(&server, "patient", &["poll", "30", "sleep", "20", "say", "done"]);
    let id = server.session(json!({ "template": "patient", "stdin_open": true }));
    assert_eq!(server.wait(&id)["stdout"], "poll 0 1: user 9 type 0 bytes 0 flags 0\ndone\n");
}

/// Sessions of one template share what was drawn before; nothing after.
#[test]
fn a_thousand_sessions_draw_a_thousand_random_numbers() {
    let server = Setup::new().set("spare_max", 16).start();
    reader(&server, "draws", &["random", "byte", "random"]);
    let mut before = HashSet::new();
    let mut after = HashSet::new();
    for _ in 0..20 {
        let ids: Vec<String> =
            (0..50).map(|_| server.session(json!({ "template": "draws", "stdin": "x" }))).collect();
        for id in ids {
            let out = server.wait(&id)["stdout"].as_str().unwrap().to_owned();
            assert_eq!(server.info(&id)["start"], "warm");
            let drawn: Vec<&str> = out.lines().filter(|line| line.starts_with("random ")).collect();
            assert_eq!(drawn.len(), 2, "{out}");
            before.insert(drawn[0].to_owned());
            assert!(after.insert(drawn[1].to_owned()), "{} was drawn twice", drawn[1]);
        }
    }
    assert_eq!((before.len(), after.len()), (1, 1000));
    assert!(before.is_disjoint(&after));
}

#[test]
fn an_open_file_has_a_place_of_its_own_in_each_session() {
    let server = Server::start();
    let folder = server.dir().join("data");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("text"), "abcdefghi").unwrap();
    let args = ["open", "/data/text", "three", "byte", "three", "list", "/data", "three"];
    let _ = server.call(
        "template_create",
        json!({
            "name": "opened", "module": "faulty_reader", "warm": "stdin", "args": args,
            "dirs": [{ "host": folder, "guest": "/data" }], "env_vars": { "A": "1" },
        }),
    );
    until_warm(&server, "opened");
    for _ in 0..3 {
        let out = run(&server, "opened", "x")["stdout"].clone();
        let expected = "three Some(Ok(3)) abc\nbyte x\nthree Some(Ok(3)) def\nlist Ok([\"text\"])\n\
                        three Some(Ok(3)) ghi\n";
        assert_eq!(out, expected);
    }
}

#[test]
fn what_a_program_that_runs_already_cannot_be_given_is_refused() {
    let server = Server::start();
    reader(&server, "fixed", &["all"]);
    for (param, value, word) in [
        ("args", json!(["other"]), "arguments"),
        ("env_vars", json!({ "A": "1" }), "environment"),
        ("dirs", json!([{ "host": "/tmp" }]), "folders"),
        ("memory_limit_mb", json!(7), "memory limit"),
    ] {
        let refused = server.refusal("session_start", json!({ "template": "fixed", param: value }));
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("fixed") && message.contains(word), "{message}");
    }
    // What it has anyway may be said.
    let started =
        server.call("session_start", json!({ "template": "fixed", "args": ["all"], "wait_ms": 9000 }));
    assert_eq!(started["result"]["success"], true);
    for params in [
        json!({}),
        json!({ "template": "fixed", "module": "hello" }),
        json!({ "template": "fixed", "script": "" }),
    ] {
        assert_eq!(server.refusal_name("session_start", params), "invalid_params");
    }
    assert_eq!(server.refusal_name("session_start", json!({ "template": "nobody" })), "template_not_found");
}

#[test]
fn an_initialiser_runs_once_for_all_sessions() {
    let server = Server::start();
    let asked = json!({
        "name": "prepared", "module": "faulty_reader", "warm": "export:ready", "args": ["ready"],
        "env_vars": { "A": "template", "B": "template" },
    });
    let _ = server.call("template_create", asked);
    until_warm(&server, "prepared");
    assert_eq!(run(&server, "prepared", "")["stdout"], "initialised\nready 1\n");
    // Its arguments and environment are the session's own.
    let own = json!({
        "template": "prepared", "args": ["env", "A", "env", "B", "ready"], "env_vars": { "A": "session" },
        "wait_ms": 9000,
    });
    let out = server.call("session_start", own)["result"]["stdout"].clone();
    assert_eq!(out, "initialised\nenv Some(\"session\")\nenv Some(\"template\")\nready 1\n");
}

#[test]
fn a_module_that_cannot_be_warmed_says_why_and_runs_from_the_beginning() {
    let server = Setup::new().set("template_warm_ms", 700).start();
    for (name, args, why) in [
        ("ends", &["say", "hi"][..], "exit code 0, before it read"),
        ("spins", &["spin"], "did not come to its first read of standard input within 700 ms"),
        ("chats", &["say", &"x".repeat(70_000), "all"], "prints more than 64 KiB"),
    ] {
        let asked = json!({ "name": name, "module": "faulty_reader", "warm": "stdin", "args": args });
        let _ = server.call("template_create", asked);
        let said = until_failed(&server, name);
        assert!(said.contains(why), "{name}: {said}");
    }
    let asked = json!({ "name": "lacks", "module": "hello", "warm": "export:ready" });
    let _ = server.call("template_create", asked);
    let said = until_failed(&server, "lacks");
    assert!(said.contains("exports no function \"ready\""), "{said}");
    let started = server.call("session_start", json!({ "template": "ends", "wait_ms": 9000 }));
    assert_eq!(started["result"]["stdout"], "hi\n");
    let info = server.info(started["session_id"].as_str().unwrap());
    assert_eq!(info["start"], "cold");
    let health = server.call("health", json!({}));
    assert_eq!(health["status"], "degraded");
    assert!(health["reasons"].to_string().contains("spins"), "{health:#}");
    // Removed, it is no reason any more.
    for name in ["ends", "spins", "chats", "lacks"] {
        let _ = server.call("template_remove", json!({ "name": name }));
    }
    assert_eq!(server.call("health", json!({}))["status"], "ok");
}

#[test]
fn compiled_and_interpreted_programs_go_on_alike() {
    let server = Setup::new().compiling().start();
    let asked = json!({ "name": "both", "module": "faulty_reader", "warm": "stdin",
                        "args": ["say", "before", "poll", "20000", "all", "random"] });
    let _ = server.call("template_create", asked);
    until_warm(&server, "both");
    let interpreted = run(&server, "both", "abc")["stdout"].as_str().unwrap().to_owned();
    server.until_compiled("faulty_reader");
    let compiled = eventually("the compiled program is warm", || {
        let id = server.session(json!({ "template": "both", "stdin": "abc" }));
        let out = server.wait(&id)["stdout"].as_str().unwrap().to_owned();
        let info = server.info(&id);
        // The one that stands serves while its successor warms.
        assert_eq!(info["start"], "warm");
        (server.call("template_get", json!({ "name": "both" }))["warm_ms"].is_u64()
            && info["mode"] == "compiled")
            .then_some(out)
    });
    let same =
        |text: &str| text.lines().filter(|line| !line.starts_with("random")).collect::<Vec<_>>().join("|");
    assert_eq!(same(&interpreted), same(&compiled));
    assert!(same(&compiled).contains("all Ok(3) \"abc\""), "{compiled}");
}
