//! The life of templates that are asked for: kept, replaced, killed, let go.

use std::collections::BTreeMap;

use e2e::{Server, Setup, Value, eventually, json, signal_to};
use nix::sys::signal::Signal;

fn shown(server: &Server, name: &str) -> Value {
    server.call("template_get", json!({ "name": name }))
}

fn until(server: &Server, name: &str, state: &str) -> Value {
    eventually(&format!("{name} is {state}"), || {
        let shown = shown(server, name);
        (shown["state"] == state).then_some(shown)
    })
}

fn create(server: &Server, asked: Value) -> Value {
    let name = asked["name"].as_str().expect("a name").to_owned();
    let _ = server.call("template_create", asked);
    until(server, &name, "warm")
}

fn started(server: &Server, template: &str, stdin: &str) -> (Value, Value) {
    let reply =
        server.call("session_start", json!({ "template": template, "stdin": stdin, "wait_ms": 30_000 }));
    (server.info(reply["session_id"].as_str().expect("an id")), reply["result"].clone())
}

fn reader(name: &str) -> Value {
    json!({ "name": name, "module": "faulty_reader", "warm": "stdin", "args": ["all"] })
}

#[test]
fn a_template_that_is_killed_says_so_and_comes_back() {
    let server = Server::start();
    let first = create(&server, reader("mortal"));
    signal_to(first["pid"].as_u64().unwrap() as u32, Signal::SIGKILL);
    let failed = until(&server, "mortal", "failed");
    assert!(failed["why"].as_str().unwrap().contains("its process ended"), "{failed:#}");
    assert!(failed["retry_in_ms"].as_u64().unwrap() <= 1000, "{failed:#}");
    let (info, result) = started(&server, "mortal", "x");
    assert_eq!((&info["start"], &result["stdout"]), (&json!("cold"), &json!("all Ok(1) \"x\"\n")));
    let second = until(&server, "mortal", "warm");
    assert_ne!(first["pid"], second["pid"]);
    assert_eq!((&second["failures"], &second["why"]), (&json!(0), &Value::Null));
    assert_eq!(started(&server, "mortal", "x").0["start"], "warm");
}

#[test]
fn a_template_that_is_killed_under_load_loses_no_session_that_had_not_begun() {
    let server = Setup::new().set("max_sessions", 8).start();
    let victim = create(&server, reader("loaded"))["pid"].as_u64().unwrap() as u32;
    let ids: Vec<String> =
        (0..200).map(|_| server.session(json!({ "template": "loaded", "stdin": "x" }))).collect();
    signal_to(victim, Signal::SIGKILL);
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    for id in &ids {
        let result = server.wait(id);
        let kind = result["outcome"]["kind"].as_str().unwrap().to_owned();
        if kind == "exited" {
            assert_eq!(result["stdout"], "all Ok(1) \"x\"\n", "{id} did not run exactly once");
        }
        *outcomes.entry(kind).or_default() += 1;
    }
    // Those that ran on its workers went with it; everybody who waited ran elsewhere.
    let lost = outcomes.remove("worker_lost").unwrap_or(0) + outcomes.remove("killed").unwrap_or(0);
    assert!(lost <= 8, "{lost} sessions were lost");
    assert_eq!(outcomes, BTreeMap::from([("exited".to_owned(), 200 - lost)]));
}

#[test]
fn a_session_of_a_killed_template_ends_with_it() {
    let server = Server::start();
    let spec = json!({ "name": "parent", "module": "faulty_reader", "warm": "stdin", "args": ["say", "here", "all"] });
    let victim = create(&server, spec)["pid"].as_u64().unwrap() as u32;
    let id = server.session(json!({ "template": "parent", "stdin_open": true }));
    // Before its worker has taken it, another worker would run it.
    server.until_line(&id, "here");
    let pid = server.worker(&id);
    signal_to(victim, Signal::SIGKILL);
    let kind = server.wait(&id)["outcome"]["kind"].clone();
    assert!(kind == "worker_lost" || kind == "killed", "{kind}");
    eventually("its process is gone", || e2e::census::process(pid).is_none().then_some(()));
}

/// A module that prints one letter and then what it reads.
fn lettered(letter: char) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 63) "{letter}")
            (func (export "_start")
                (i32.store (i32.const 8) (i32.const 64))
                (i32.store (i32.const 12) (i32.const 64))
                (drop (call $read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 32)))
                (i32.store (i32.const 8) (i32.const 63))
                (i32.store (i32.const 12) (i32.add (i32.const 1) (i32.load (i32.const 32))))
                (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))))"#
    );
    wat::parse_str(text).expect("it is a module")
}

#[test]
fn new_sessions_run_the_new_content_of_a_module_and_old_ones_finish() {
    let server = Server::start();
    let _ = server.upload("letter", &lettered('a'));
    let before = create(&server, json!({ "name": "t", "module": "letter", "warm": "stdin" }));
    let old = server.session(json!({ "template": "t", "stdin_open": true }));
    eventually("the old one runs", || (server.info(&old)["state"] == "running").then_some(()));
    let _ = server.upload("letter", &lettered('b'));
    // At once, warm or not.
    assert_eq!(started(&server, "t", "1").1["stdout"], "b1");
    let after = eventually("the new content is warm", || {
        let shown = shown(&server, "t");
        (shown["state"] == "warm" && shown["digest"] != before["digest"]).then_some(shown)
    });
    assert_ne!(before["pid"], after["pid"]);
    let (info, result) = started(&server, "t", "2");
    assert_eq!((&info["start"], &result["stdout"]), (&json!("warm"), &json!("b2")));
    let _ = server.call("session_stdin", json!({ "session_id": old, "data": "3", "close": true }));
    assert_eq!(server.wait(&old)["stdout"], "a3");
    let pid = before["pid"].as_u64().unwrap() as u32;
    eventually("the old process is gone", || e2e::census::process(pid).is_none().then_some(()));
}

#[test]
fn without_its_module_a_template_fails_and_with_it_comes_back() {
    let server = Server::start();
    let _ = server.upload("letter", &lettered('a'));
    create(&server, json!({ "name": "t", "module": "letter", "warm": "stdin" }));
    let _ = server.call("module_remove", json!({ "name": "letter" }));
    let refused = server.refusal_name("session_start", json!({ "template": "t" }));
    assert_eq!(refused, "module_not_found");
    let failed = until(&server, "t", "failed");
    assert!(failed["why"].as_str().unwrap().contains("letter"), "{failed:#}");
    let _ = server.upload("letter", &lettered('c'));
    until(&server, "t", "warm");
    assert_eq!(started(&server, "t", "1").1["stdout"], "c1");
}

#[test]
fn templates_are_there_again_after_a_restart_until_they_are_removed() {
    let mut server = Server::start();
    create(&server, reader("kept"));
    let _ = server.stop();
    server.start_again();
    until(&server, "kept", "warm");
    let pid = shown(&server, "kept")["pid"].as_u64().unwrap() as u32;
    let _ = server.call("template_remove", json!({ "name": "kept" }));
    assert_eq!(server.refusal_name("template_get", json!({ "name": "kept" })), "template_not_found");
    assert_eq!(server.refusal_name("template_remove", json!({ "name": "kept" })), "template_not_found");
    eventually("its process is gone", || e2e::census::process(pid).is_none().then_some(()));
    let _ = server.stop();
    server.start_again();
    let list = server.call("template_list", json!({}));
    let left = list["templates"].as_array().expect("a list");
    assert!(left.iter().all(|template| template["origin"] == "builtin"), "{left:#?}");
}

#[test]
fn a_file_declares_templates_and_one_bad_entry_keeps_none_of_the_others() {
    let folder = e2e::Folder::new();
    let file = folder.path().join("templates.json");
    let list = json!([reader("one"), { "name": "bad", "module": "nobody", "warm": "stdin" }, reader("two")]);
    std::fs::write(&file, list.to_string()).unwrap();
    let server = Setup::new().set("templates_file", file.display()).start_in(folder);
    for name in ["one", "two"] {
        assert_eq!(until(&server, name, "warm")["origin"], "file");
    }
    let bad = until(&server, "bad", "failed");
    assert!(bad["why"].as_str().unwrap().contains("nobody"), "{bad:#}");
    assert_eq!(server.refusal_name("template_remove", json!({ "name": "one" })), "invalid_state");
    assert_eq!(server.refusal_name("template_create", reader("one")), "invalid_state");
}

#[test]
fn a_template_that_nobody_uses_goes_and_comes_back_when_it_is_used() {
    let server = Server::start();
    let mut asked = reader("brief");
    asked["ttl_s"] = json!(1);
    let _ = server.call("template_create", asked);
    until(&server, "brief", "warm");
    assert_eq!(started(&server, "brief", "x").0["start"], "warm");
    let idle = until(&server, "brief", "idle");
    assert_eq!((&idle["pid"], &idle["failures"]), (&Value::Null, &json!(0)));
    assert_eq!(started(&server, "brief", "x").1["stdout"], "all Ok(1) \"x\"\n");
}

#[test]
fn templates_beyond_the_memory_budget_go() {
    let server = Setup::new().set("templates_memory_mb", 100).set("spare_min", 1).start();
    let large = |name: &str, mb: &str| json!({ "name": name, "module": "faulty_reader", "warm": "stdin", "args": ["grow", mb, "all"] });
    create(&server, large("first", "60"));
    eventually("it was weighed", || shown(&server, "first")["pss_kb"].as_u64().filter(|kb| *kb > 60_000));
    create(&server, large("second", "60"));
    // The one that was not used for longer goes; both are too much.
    until(&server, "first", "idle");
    let stats = eventually("one is left", || {
        let memory = server.stats()["memory"].clone();
        (memory["templates_evicted_total"] == 1).then_some(memory)
    });
    assert_eq!(stats["templates_budget_kb"], 100 << 10);
    assert_eq!(started(&server, "second", "x").0["start"], "warm");
    let _ = server.call("template_remove", json!({ "name": "second" }));
    let _ = server.call("template_create", large("huge", "150"));
    let failed = until(&server, "huge", "failed");
    assert!(failed["why"].as_str().unwrap().contains("templates_memory_mb"), "{failed:#}");
    assert_eq!(started(&server, "huge", "x").0["start"], "cold");
}

#[test]
fn a_lost_zygote_takes_templates_with_it_and_the_next_one_brings_them_back() {
    let server = Server::start();
    let before = create(&server, reader("again"));
    signal_to(server.zygote_pid(), Signal::SIGKILL);
    let after = eventually("it is warm again", || {
        let shown = shown(&server, "again");
        (shown["state"] == "warm" && shown["pid"] != before["pid"]).then_some(shown)
    });
    assert!(after["pid"].is_u64());
    assert_eq!(started(&server, "again", "x").0["start"], "warm");
}

#[test]
fn sixty_four_clients_start_ten_thousand_sessions_and_each_runs_once() {
    let server = Setup::new().set("max_queue", 50).set("history_max_sessions", 20_000).start();
    create(&server, reader("busy"));
    let (clients, each) = (64, 157);
    let refused = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for client in 0..clients {
            let (server, refused) = (&server, &refused);
            scope.spawn(move || {
                for number in 0..each {
                    let text = format!("{client}-{number}");
                    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "session_start",
                        "params": { "template": "busy", "stdin": text, "wait_ms": 60_000 } });
                    loop {
                        let reply = server.post(&body.to_string());
                        if reply["error"]["data"]["code_name"] == "queue_full" {
                            refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            std::thread::yield_now();
                            continue;
                        }
                        let out = &reply["result"]["result"]["stdout"];
                        assert_eq!(*out, format!("all Ok({}) {text:?}\n", text.len()), "{reply:#}");
                        break;
                    }
                }
            });
        }
    });
    let stats = server.stats();
    assert_eq!(stats["outcomes"], json!({ "exited": clients * each }));
    assert_eq!(stats["rejected_total"], refused.into_inner());
    assert_eq!((&stats["running"], &stats["queued"]), (&json!(0), &json!(0)));
}
