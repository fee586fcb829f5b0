//! Components: run, called, refused; and core modules in the same engine.

use std::process::{Output, Stdio};

use e2e::{Server, Setup, Value, eventually, json};

/// A component whose `run` does this.
fn program(body: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m (memory 1) (table 1 funcref)
                (func $deeper (export "deeper") (param i64) (result i64)
                    (i64.add (call $deeper (i64.add (local.get 0) (i64.const 1))) (i64.const 1)))
                (func (export "run") (result i32) {body}))
            (core instance $m (instantiate $m))
            (func $run (result (result)) (canon lift (core func $m "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.3" (instance $run)))"#
    );
    wat::parse_str(text).expect("the test has what it needs")
}

/// A component with functions: `add` of two numbers, `halve` that is an error for odd ones.
fn calculator() -> Vec<u8> {
    wat::parse_str(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
                (func (export "halve") (param i32) (result i32)
                    (i32.store8 (i32.const 0) (i32.and (local.get 0) (i32.const 1)))
                    (i32.store (i32.const 4) (i32.shr_u (local.get 0) (i32.const 1)))
                    (i32.const 0)))
            (core instance $m (instantiate $m))
            (func $add (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $m "add")))
            (func $halve (param "n" u32) (result (result u32 (error u32)))
                (canon lift (core func $m "halve") (memory (core memory $m "memory"))))
            (instance $api (export "add" (func $add)))
            (export "add" (func $add))
            (export "halve" (func $halve))
            (export "test:calc/api@1.0.0" (instance $api)))"#,
    )
    .expect("the test has what it needs")
}

/// A component that needs another one.
fn part() -> Vec<u8> {
    wat::parse_str(
        r#"(component
            (import "test:store/keys@1.0.0" (instance $keys (export "get" (func (result u32)))))
            (alias export $keys "get" (func $get))
            (core func $lowered (canon lower (func $get)))
            (core module $m (import "keys" "get" (func $get (result i32)))
                (func (export "run") (result i32) (call $get)))
            (core instance $keys (export "get" (func $lowered)))
            (core instance $m (instantiate $m (with "keys" (instance $keys))))
            (func $run (result u32) (canon lift (core func $m "run")))
            (export "run-scenario" (func $run)))"#,
    )
    .expect("the test has what it needs")
}

fn invoke(server: &Server, function: &str, args: Value) -> Value {
    let mut request = json!({ "module": "calc", "invoke": function });
    if args != Value::Null {
        request["invoke_args"] = args;
    }
    server.run(request)
}

fn refusal(server: &Server, request: Value, code: &str) -> String {
    let error = server.refusal("session_start", request);
    assert_eq!(error["data"]["code_name"], code, "{error:#}");
    error["message"].as_str().expect("a message").to_owned()
}

#[test]
fn a_component_runs_by_its_header() {
    let server = Server::start();
    let detail = server.upload("good", &program("(i32.const 0)"));
    assert_eq!(detail["kind"], "component");
    assert_eq!(detail["exports"][0]["name"], "wasi:cli/run@0.2.3#run");
    let id = server.session(json!({ "module": "good" }));
    let result = server.wait(&id);
    assert_eq!(result["success"], true, "{result:#}");
    let info = server.info(&id);
    assert_eq!((&info["engine"], &info["mode"]), (&json!("wasmtime"), &json!("compiled")), "{info:#}");
    server.upload("bad", &program("(i32.const 1)"));
    assert_eq!(server.run(json!({ "module": "bad" }))["outcome"], json!({ "kind": "exited", "code": 1 }));
    let core = server.session(json!({ "module": "hello" }));
    let _ = server.wait(&core);
    assert_eq!(server.info(&core)["engine"], "wasmedge");
}

#[test]
fn its_sessions_soon_come_from_a_warm_template() {
    let server = Server::start();
    server.upload("good", &program("(i32.const 0)"));
    eventually("a session comes from a template", || {
        let id = server.session(json!({ "module": "good" }));
        assert_eq!(server.wait(&id)["success"], true);
        (server.info(&id)["start"] == "warm").then_some(())
    });
}

#[test]
fn an_exported_function_returns_its_value() {
    let server = Server::start();
    server.upload("calc", &calculator());
    let result = invoke(&server, "add", json!([1, 2]));
    assert_eq!(
        (&result["outcome"], &result["value"]),
        (&json!({ "kind": "returned", "ok": true }), &json!(3))
    );
    assert_eq!(invoke(&server, "add(40, 2)", Value::Null)["value"], 42);
    assert_eq!(invoke(&server, "test:calc/api@1.0.0#add", json!([5, 6]))["value"], 11);
    let result = invoke(&server, "halve", json!([8]));
    assert_eq!((&result["success"], &result["value"]), (&json!(true), &json!(4)), "{result:#}");
    let id = server.session(json!({ "module": "calc", "invoke": "add", "invoke_args": [2, 2] }));
    let _ = server.wait(&id);
    assert_eq!(server.info(&id)["value"], 4);
    let listed = server.call("session_list", json!({ "limit": 1 }));
    assert_eq!(listed["sessions"][0].get("value"), None, "a list is for many sessions");
}

#[test]
fn a_returned_error_is_a_failed_outcome_with_its_value() {
    let server = Server::start();
    server.upload("calc", &calculator());
    let result = invoke(&server, "halve", json!([9]));
    assert_eq!((&result["success"], &result["value"]), (&json!(false), &json!(4)));
    assert_eq!(result["outcome"], json!({ "kind": "returned", "ok": false }));
}

#[test]
fn wrong_functions_and_arguments_are_told() {
    let server = Server::start();
    server.upload("calc", &calculator());
    for (function, args, named) in [
        ("subtract", json!([1, 2]), "subtract"),
        ("add", json!([1]), "2"),
        ("add", json!(["one", 2]), "u32"),
        ("add", json!([-1, 2]), "u32"),
        ("add(1, true)", Value::Null, "add"),
    ] {
        let result = invoke(&server, function, args.clone());
        assert_eq!(result["outcome"]["kind"], "load_failed", "{function} {args}: {result:#}");
        let message = result["outcome"]["message"].as_str().unwrap();
        assert!(message.contains(named), "{function} {args}: {message}");
    }
}

#[test]
fn calls_that_cannot_be_are_refused_before_anything_runs() {
    let server = Server::start();
    server.upload("calc", &calculator());
    for request in [
        json!({ "module": "calc", "invoke_args": [1] }),
        json!({ "module": "calc", "invoke": "" }),
        json!({ "module": "calc", "invoke": "add(1, 2)", "invoke_args": [1, 2] }),
        json!({ "module": "hello", "invoke": "add", "invoke_args": [1, 2] }),
    ] {
        let _ = refusal(&server, request, "invalid_params");
    }
    let large = json!({ "module": "calc", "invoke": "add", "invoke_args": ["x".repeat(200_000)] });
    let _ = refusal(&server, large, "too_large");
    let message = refusal(&server, json!({ "module": "calc", "engine": "wasmedge" }), "module_unsupported");
    assert!(message.contains("component"), "{message}");
    assert_eq!(server.stats()["sessions_total"], 0);
}

#[test]
fn a_component_that_imports_what_nobody_offers_is_refused_with_the_name() {
    let server = Server::start();
    let detail = server.upload("part", &part());
    assert_eq!(detail["missing"], json!(["test:store/keys@1.0.0"]), "{detail:#}");
    let request = json!({ "module": "part", "invoke": "run-scenario" });
    let message = refusal(&server, request, "module_import_missing");
    assert!(message.contains("test:store/keys@1.0.0"), "{message}");
    assert_eq!(server.call("module_get", json!({ "name": "part" }))["missing"], detail["missing"]);
}

#[test]
fn a_core_module_runs_in_wasmtime_when_asked_for() {
    let server = Server::start();
    // Small, because it is compiled while the test waits.
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\08\00\00\00\04\00\00\00you\0a")
        (func (export "_start")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
            (call $exit (i32.const 7))))"#;
    server.upload("you", &wat::parse_str(text).unwrap());
    for engine in ["wasmtime", "wasmedge"] {
        let id = server.session(json!({ "module": "you", "engine": engine }));
        let result = server.wait(&id);
        assert_eq!((&result["stdout"], &result["exit_code"]), (&json!("you\n"), &json!(7)), "{result:#}");
        assert_eq!(server.info(&id)["engine"], engine);
    }
}

#[test]
fn a_component_that_misbehaves_ends_alone() {
    let server = Server::start();
    for (name, body, limits, kinds) in [
        ("spins", "(loop (br 0)) (i32.const 0)", json!({ "timeout_ms": 500 }), &["timed_out"][..]),
        ("traps", "unreachable", json!({}), &["trapped"][..]),
        ("recurses", "(drop (call $deeper (i64.const 0))) (i32.const 0)", json!({}), &["trapped"][..]),
        (
            "allocates",
            "(if (i32.eq (memory.grow (i32.const 65000)) (i32.const -1)) (then unreachable)) (i32.const 0)",
            json!({ "memory_limit_mb": 16 }),
            &["memory_limit", "trapped"][..],
        ),
    ] {
        server.upload(name, &program(body));
        let mut request = limits;
        request["module"] = json!(name);
        let result = server.run(request);
        let kind = result["outcome"]["kind"].as_str().unwrap();
        assert!(kinds.contains(&kind), "{name}: {result:#}");
    }
    server.upload("good", &program("(i32.const 0)"));
    assert_eq!(server.run(json!({ "module": "good" }))["success"], true);
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);
}

#[test]
fn artifacts_of_both_engines_survive_a_restart() {
    let mut server = Setup::new().start();
    server.upload("good", &program("(i32.const 0)"));
    assert_eq!(server.run(json!({ "module": "good" }))["success"], true);
    let state = server.call("module_get", json!({ "name": "good" }))["artifact"].clone();
    assert_eq!(state["state"], "compiled");
    assert!(server.stop().success());
    server.start_again();
    assert_eq!(server.call("module_get", json!({ "name": "good" }))["artifact"], state);
    assert_eq!(server.run(json!({ "module": "good" }))["success"], true);
}

#[test]
fn when_its_zygote_is_lost_there_is_another() {
    let server = Server::start();
    server.upload("good", &program("(i32.const 0)"));
    assert_eq!(server.run(json!({ "module": "good" }))["success"], true);
    let root = server.zygote_pid();
    let zygotes = || -> Vec<u32> {
        let children = e2e::census::children(server.pid());
        children.iter().map(|child| child.pid).filter(|pid| *pid != root).collect()
    };
    let other = zygotes();
    assert_eq!(other.len(), 1, "one beside the first: {:?}", server.tree());
    e2e::signal_to(other[0], nix::sys::signal::Signal::SIGKILL);
    eventually("there is another one", || zygotes().iter().any(|pid| *pid != other[0]).then_some(()));
    assert_eq!(server.run(json!({ "module": "good" }))["success"], true);
    assert_eq!(server.zygote_pid(), root, "the first one is none the wiser");
}

fn cli(server: &Server, args: &[&str]) -> Output {
    server.cli(args).stdin(Stdio::null()).output().expect("the command line can be run")
}

#[test]
fn the_command_line_prints_what_a_function_returns() {
    let server = Server::start();
    let file = server.dir().join("calc.wasm");
    std::fs::write(&file, calculator()).unwrap();
    let file = file.to_str().unwrap();
    let output = cli(&server, &["run", "--invoke", "add(20, 22)", file]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"42\n");
    let output = cli(&server, &["run", file, "--invoke", "halve(9)"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.starts_with(b"4\n"), "{output:?}");
    let output = cli(&server, &["run", "--engine", "wasmedge", file]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
}
