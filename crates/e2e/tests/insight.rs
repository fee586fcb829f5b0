//! What a server tells about modules, about sessions that run, and about itself over time.

use std::process::Stdio;

use e2e::{Server, Value, eventually, json, places};

fn samples(server: &Server, request: Value) -> Vec<Value> {
    let reply = server.call("stats_history", request);
    serde_json::from_value(reply["samples"].clone()).expect("there is a list of samples")
}

fn sum(samples: &[Value], field: &str) -> u64 {
    samples.iter().map(|sample| sample[field].as_u64().expect("a count is a number")).sum()
}

#[test]
fn a_stored_module_says_the_same_as_its_file() {
    let server = Server::start();
    for name in ["hello", "rhai", "faulty_trap"] {
        let file = places::guest(name);
        let output = server
            .cli(&["inspect", file.to_str().unwrap(), "--format", "json"])
            .stdin(Stdio::null())
            .output()
            .expect("the command line can be run");
        let local: Value = serde_json::from_slice(&output.stdout).unwrap();
        // Twice: once read, once known.
        for _ in 0..2 {
            assert_eq!(server.call("module_inspect", json!({ "name": name })), local, "{name}");
        }
    }
    let digest = server.call("module_get", json!({ "name": "hello" }))["digest"].clone();
    let found = server.call("module_inspect", json!({ "name": digest }));
    assert_eq!((&found["kind"], &found["wasi"]), (&json!("module"), &json!("preview1")));
    assert_eq!(server.refusal_name("module_inspect", json!({ "name": "nothing" })), "module_not_found");
    assert_eq!(server.refusal_name("module_inspect", json!({ "name": "/etc/passwd" })), "module_not_found");
    assert_eq!(server.refusal_name("module_inspect", json!({})), "invalid_params");
}

#[test]
fn a_component_tells_its_world() {
    let server = Server::start();
    let text = r#"(component
        (core module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
        (core instance $i (instantiate $m))
        (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))"#;
    let wasm = wat::parse_str(text).unwrap();
    let reply = server.http("POST", "/modules/adder", &[], &wasm);
    assert_eq!(reply.status, 200, "{reply:?}");
    let found = server.call("module_inspect", json!({ "name": "adder" }));
    assert_eq!(found["kind"], "component");
    assert!(found["wit"].as_str().unwrap().contains("add: func"), "{found}");
}

#[test]
fn what_was_done_is_told_second_by_second() {
    let server = Server::start();
    let spin = server.session(json!({ "module": "faulty_spin" }));
    for _ in 0..3 {
        let _ = server.run(json!({ "module": "hello" }));
    }
    let _ = server.run(json!({ "module": "faulty_exit7" }));
    let seen = eventually("the samples have all that was done", || {
        let seen = samples(&server, json!({}));
        (sum(&seen, "ended") == 4 && sum(&seen, "cpu_ms") > 300).then_some(seen)
    });
    assert_eq!((sum(&seen, "started"), sum(&seen, "failed")), (5, 1));
    assert!(sum(&seen, "log_lines") >= 5 && sum(&seen, "log_bytes") > 40, "{seen:#?}");
    assert_eq!(sum(&seen, "log_dropped"), 0);
    let last = seen.last().unwrap();
    assert_eq!((&last["running"], &last["queued"]), (&json!(1), &json!(0)));
    assert!(last["memory_kb"].as_u64() > last["server_rss_kb"].as_u64(), "{last}");
    let busy = seen.iter().find(|sample| sample["started"].as_u64() > Some(0)).unwrap();
    assert!(
        busy["start_us_p50"].as_u64() > Some(0)
            && busy["start_us_p99"].as_u64() >= busy["start_us_p50"].as_u64()
    );
    assert!(seen.windows(2).all(|two| two[0]["ts_ms"].as_u64() < two[1]["ts_ms"].as_u64()));

    // What comes after what was seen.
    let after = last["ts_ms"].clone();
    let newer = eventually("there is another sample", || {
        let newer = samples(&server, json!({ "after_ms": after }));
        (!newer.is_empty()).then_some(newer)
    });
    assert!(newer.iter().all(|sample| sample["ts_ms"].as_u64() > after.as_u64()));
    assert_eq!(samples(&server, json!({ "limit": 1 })).len(), 1);
    assert_eq!(server.call("stats_history", json!({ "step_ms": 15_000 }))["step_ms"], 15_000);
    assert_eq!(server.call("stats_history", json!({ "after_ms": 0 }))["step_ms"], 1000);
    for wrong in [json!({ "step_ms": 60_000 }), json!({ "after_ms": -1 }), json!({ "limit": "all" })] {
        assert_eq!(server.refusal_name("stats_history", wrong), "invalid_params");
    }
    let _ = server.call("session_stop", json!({ "session_id": spin, "grace_ms": 0 }));
}

#[test]
fn the_kernel_is_asked_what_running_sessions_use() {
    let server = Server::start();
    let spin = server.session(json!({ "module": "faulty_spin" }));
    let done = server.session(json!({ "module": "hello" }));
    let _ = server.wait(&done);
    let list = |usage: bool| {
        let mut page = server.call("session_list", json!({ "usage": usage }));
        let [newer, older] = serde_json::from_value::<[Value; 2]>(page["sessions"].take()).unwrap();
        assert_eq!((&newer["session_id"], &older["session_id"]), (&json!(done), &json!(spin)));
        (newer, older)
    };
    eventually("the time that it spins is told", || {
        (list(true).1["cpu_ms"].as_u64() >= Some(100)).then_some(())
    });
    let (ended, running) = list(true);
    assert!(running["max_rss_kb"].as_u64() > Some(100), "{running}");
    let info = server.info(&done);
    assert_eq!((&ended["cpu_ms"], &ended["max_rss_kb"]), (&info["cpu_ms"], &info["max_rss_kb"]));
    assert_eq!(list(false).1["cpu_ms"], Value::Null);
    let _ = server.call("session_stop", json!({ "session_id": spin, "grace_ms": 0 }));
}

#[test]
fn sessions_are_found_by_a_text_in_memory_and_in_the_history() {
    let mut server = Server::start();
    let hello = server.session(json!({ "module": "hello", "labels": { "team": "Blue 100%" } }));
    let echo = server.session(json!({ "module": "environ", "args": ["--Colour", "r_d", "\"q\\"] }));
    for id in [&hello, &echo] {
        let _ = server.wait(id);
    }
    let check = |server: &Server| {
        let found = |text: &str| -> Vec<String> {
            let page = server.call("session_list", json!({ "search": text }));
            let sessions = page["sessions"].as_array().unwrap();
            sessions.iter().map(|session| session["session_id"].as_str().unwrap().to_owned()).collect()
        };
        for (text, wanted) in [
            ("HELL", vec![&hello]),
            ("blue 100%", vec![&hello]),
            ("colour", vec![&echo]),
            ("r_d", vec![&echo]),
            ("\"q\\", vec![&echo]),
            ("", vec![&echo, &hello]),
            ("ses-", vec![&echo, &hello]),
            (&hello[6..], vec![&hello]),
            ("r%d", vec![]),
            ("team", vec![]),
            ("exited", vec![]),
        ] {
            assert_eq!(found(text).iter().collect::<Vec<_>>(), wanted, "{text:?}");
        }
        let both = json!({ "search": "blue", "module": "environ" });
        assert_eq!(server.call("session_list", both)["sessions"], json!([]));
        let refusal = server.refusal("session_list", json!({ "search": "x".repeat(257) }));
        assert_eq!(refusal["data"]["code_name"], "invalid_params");
    };
    check(&server);
    server.stop();
    server.start_again();
    check(&server);
}
