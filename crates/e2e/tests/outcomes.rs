//! How sessions end, interpreted and compiled.

use e2e::{Server, Setup, Value, json};

/// Runs a guest in both modes and returns both results, the interpreter's first.
fn in_both_modes(request: &Value) -> [Value; 2] {
    let interpreted = Server::start();
    let first = interpreted.session(request.clone());
    assert_eq!(interpreted.info(&first)["mode"], "interpreted");

    let compiled = Setup::new().compiling().start();
    let name = request["module"].as_str().expect("a request names its module");
    let first_of_all = compiled.session(json!({ "module": name, "timeout_ms": 1 }));
    let _ = compiled.wait(&first_of_all);
    compiled.until_compiled(name);
    let second = compiled.session(request.clone());
    assert_eq!(compiled.info(&second)["mode"], "compiled");
    [interpreted.wait(&first), compiled.wait(&second)]
}

#[test]
fn a_guest_that_returns_succeeds() {
    for result in in_both_modes(&json!({ "module": "hello" })) {
        assert_eq!(result["success"], true, "{result:#}");
        assert_eq!(result["outcome"], json!({ "kind": "exited", "code": 0 }));
        assert_eq!(result["exit_code"], 0);
        assert_eq!(result["stdout"], "hello, world\n");
        assert_eq!(result["stderr"], "");
        assert_eq!(result["truncated"], false);
        assert!(result["started_at"].as_u64().unwrap() > 1_600_000_000_000);
        assert!(result["duration_ms"].as_f64().unwrap() >= 0.0);
        assert!(result["cpu_ms"].is_u64() && result["max_rss_kb"].as_u64().unwrap() > 0);
    }
}

#[test]
fn an_exit_code_is_the_guests_own() {
    for result in in_both_modes(&json!({ "module": "faulty_exit7" })) {
        assert_eq!(result["success"], false);
        assert_eq!(result["outcome"], json!({ "kind": "exited", "code": 7 }));
        assert_eq!(result["exit_code"], 7);
        assert_eq!((&result["stdout"], &result["stderr"]), (&json!(""), &json!("exiting with 7\n")));
    }
}

#[test]
fn unreachable_is_a_trap_with_a_name() {
    for result in in_both_modes(&json!({ "module": "faulty_trap" })) {
        assert_eq!(result["outcome"]["kind"], "trapped", "{result:#}");
        assert_eq!(result["outcome"]["trap"], "unreachable", "{result:#}");
        assert_eq!(result["stdout"], "about to trap\n");
        assert_eq!(result["exit_code"], Value::Null);
    }
}

#[test]
fn a_guest_that_spins_is_ended_by_its_time_limit() {
    for result in in_both_modes(&json!({ "module": "faulty_spin", "timeout_ms": 500 })) {
        assert_eq!(result["outcome"], json!({ "kind": "timed_out" }));
        assert_eq!(result["stdout"], "spinning\n");
        assert!(result["duration_ms"].as_f64().unwrap() >= 500.0, "{result:#}");
    }
}

#[test]
fn a_guest_that_wants_more_memory_than_its_limit_reaches_it() {
    for result in in_both_modes(&json!({ "module": "faulty_oom", "memory_limit_mb": 40 })) {
        assert_eq!(result["outcome"], json!({ "kind": "memory_limit" }), "{result:#}");
        let stdout = result["stdout"].as_str().unwrap();
        assert!(stdout.contains("16 MiB") && !stdout.contains("48 MiB"), "{stdout}");
    }
}

#[test]
fn a_guest_that_recurses_without_end_ends_and_its_lines_are_kept() {
    for result in in_both_modes(&json!({ "module": "faulty_deep_recursion" })) {
        // The interpreter sees its own stack end; compiled code runs on the process's, and that is a signal.
        let kind = result["outcome"]["kind"].as_str().unwrap();
        assert!(matches!(kind, "trapped" | "killed" | "memory_limit"), "{result:#}");
        assert_eq!(result["success"], false);
        assert_eq!(result["stdout"], "recursing\n");
    }
}

#[test]
fn a_guest_that_recurses_a_little_comes_back() {
    for result in in_both_modes(&json!({ "module": "faulty_deep_recursion", "args": ["1000"] })) {
        assert_eq!(result["success"], true, "{result:#}");
    }
}

#[test]
fn output_beyond_the_limit_is_dropped_and_counted() {
    let server = Server::start();
    // Lines of 99 bytes and their newline: exactly ten fit.
    let id = server.session(json!({
        "module": "faulty_flood", "args": ["5000"], "output_limit_bytes": 1000,
    }));
    let result = server.wait(&id);
    assert_eq!(result["success"], true);
    assert_eq!(result["truncated"], true);
    assert_eq!(result["stdout"].as_str().unwrap().lines().count(), 10);
    let info = server.info(&id);
    assert_eq!(info["log_next_seq"], 10);
    assert_eq!(info["log_dropped"], 4990);
    assert_eq!(info["limits"]["output_limit_bytes"], 1000);
    assert!(server.stats()["log_dropped_total"].as_u64().unwrap() >= 4990);
}

#[test]
fn the_limits_of_a_session_that_names_none_are_the_servers() {
    let server = Setup::new()
        .set("timeout_ms", 400)
        .set("memory_limit_mb", 40)
        .set("output_limit_bytes", 5000)
        .start();
    let id = server.session(json!({ "module": "faulty_spin" }));
    assert_eq!(server.wait(&id)["outcome"]["kind"], "timed_out");
    assert_eq!(
        server.info(&id)["limits"],
        json!({ "timeout_ms": 400, "memory_limit_mb": 40, "output_limit_bytes": 5000 })
    );
    let oom = server.run(json!({ "module": "faulty_oom", "timeout_ms": 0 }));
    assert_eq!(oom["outcome"]["kind"], "memory_limit");
}

#[test]
fn outcomes_are_counted_by_their_names() {
    let server = Server::start();
    for module in ["hello", "hello", "faulty_trap"] {
        let _ = server.run(json!({ "module": module }));
    }
    let stats = server.stats();
    assert_eq!(stats["outcomes"]["exited"], 2);
    assert_eq!(stats["outcomes"]["trapped"], 1);
    assert_eq!(stats["sessions_total"], 3);
    assert_eq!(stats["server_pid"], server.pid());
    assert!(stats["engine"].as_str().unwrap().starts_with("wasmedge "), "{stats:#}");
}

#[test]
fn the_canary_sings_undisturbed_while_everything_else_goes_wrong() {
    let server = Setup::new().set("max_sessions", 16).start();
    let canary = server.session(json!({ "module": "canary", "args": ["200"] }));
    let faulty: Vec<String> = ["trap", "oom", "exit7", "deep_recursion", "noisy_bytes"]
        .iter()
        .map(|fault| server.session(json!({ "module": format!("faulty_{fault}"), "timeout_ms": 10_000 })))
        .collect();
    for id in &faulty {
        let _ = server.wait(id);
    }
    assert_eq!(server.wait(&canary)["success"], true);
    let lines: Vec<Value> = server.lines(&canary).iter().map(|line| line["line"].clone()).collect();
    let expected: Vec<Value> = (1..=200).map(|line| json!(format!("c {line}"))).collect();
    assert_eq!(lines, expected);
    assert_eq!(e2e::census::zombies(server.pid()), []);
}
