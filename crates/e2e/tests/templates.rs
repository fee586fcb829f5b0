//! Templates that the server makes by itself.

use std::collections::HashSet;

use e2e::{Server, Setup, eventually, json};

/// Runs a module until its sessions start from a template; returns the last of them.
fn until_warm(server: &Server, module: &str) -> String {
    let _ = server.run(json!({ "module": module }));
    server.until_compiled(module);
    eventually("a session starts from a template", || {
        let id = server.session(json!({ "module": module }));
        let _ = server.wait(&id);
        (server.info(&id)["start"] == "warm").then_some(id)
    })
}

#[test]
fn a_module_that_is_used_often_starts_from_a_template() {
    let server = Setup::new().compiling().start();
    let id = until_warm(&server, "hello");
    assert_eq!(server.wait(&id)["stdout"], "hello, world\n");
    let templates: Vec<String> =
        server.tree().iter().map(|process| e2e::census::title(process.pid)).collect();
    assert!(templates.iter().any(|title| title.contains("template hello")), "{templates:?}");
}

#[test]
fn sessions_of_one_template_have_their_own_arguments_environment_folders_and_input() {
    let server = Setup::new().compiling().start();
    until_warm(&server, "environ");
    for number in 0..5 {
        let folder = server.dir().join(format!("folder-{number}"));
        std::fs::create_dir(&folder).unwrap();
        let id = server.session(json!({
            "module": "environ",
            "args": [format!("argument-{number}")],
            "env_vars": { "NUMBER": number.to_string() },
            "dirs": [{ "host": folder, "guest": "/here" }],
            "working_dir": "/here",
        }));
        let out = server.wait(&id)["stdout"].as_str().unwrap().to_owned();
        assert!(out.contains(&format!("arg 1 argument-{number}\n")), "{out}");
        assert!(out.contains(&format!("NUMBER={number}\n")), "{out}");
        assert_eq!(out.matches("NUMBER=").count(), 1, "{out}");
        assert_eq!(server.info(&id)["start"], "warm");
    }
    until_warm(&server, "echo");
    for number in 0..5 {
        let id = server.session(json!({ "module": "echo", "stdin": format!("input {number}") }));
        assert_eq!(server.wait(&id)["stdout"], format!("input {number}"));
    }
}

#[test]
fn sessions_of_one_template_draw_different_random_numbers() {
    let server = Setup::new().compiling().start();
    until_warm(&server, "random");
    let mut seen = HashSet::new();
    for _ in 0..100 {
        let id = server.session(json!({ "module": "random" }));
        let drawn = server.wait(&id)["stdout"].as_str().unwrap().to_owned();
        assert_eq!(server.info(&id)["start"], "warm");
        assert!(seen.insert(drawn.clone()), "{drawn} was drawn twice");
    }
}

#[test]
fn another_memory_limit_does_not_use_the_template() {
    let server = Setup::new().compiling().start();
    until_warm(&server, "faulty_oom");
    let id = server.session(json!({ "module": "faulty_oom", "memory_limit_mb": 32 }));
    let result = server.wait(&id);
    assert_eq!(result["outcome"]["kind"], "memory_limit");
    assert_eq!(server.info(&id)["start"], "parked");
    let printed = result["stdout"].as_str().unwrap();
    assert!(!printed.contains("48 MiB"), "{printed}");
}

#[test]
fn a_module_whose_start_section_prints_runs_without_a_template() {
    let server = Setup::new().compiling().start();
    let wasm = wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "from the start section\n")
            (func $begin
                (i32.store (i32.const 8) (i32.const 64))
                (i32.store (i32.const 12) (i32.const 23))
                (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32))))
            (start $begin)
            (func (export "_start")))"#,
    )
    .unwrap();
    let _ = server.upload("begins", &wasm);
    server.until_compiled("begins");
    for _ in 0..8 {
        let id = server.session(json!({ "module": "begins" }));
        assert_eq!(server.wait(&id)["stdout"], "from the start section\n");
        assert_eq!(server.info(&id)["start"], "parked");
    }
}

#[test]
fn a_guest_cannot_open_the_network() {
    let server = Setup::new().start();
    // Prints the errno of sock_open as a letter: A is 0, success.
    let wasm = wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "sock_open" (func $open (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (i32.store8 (i32.const 64) (i32.add (i32.const 65) (call $open (i32.const 1) (i32.const 2) (i32.const 48))))
                (i32.store (i32.const 8) (i32.const 64))
                (i32.store (i32.const 12) (i32.const 1))
                (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))))"#,
    )
    .unwrap();
    let _ = server.upload("opens", &wasm);
    let result = server.run(json!({ "module": "opens" }));
    assert_eq!(result["outcome"], json!({ "kind": "exited", "code": 0 }));
    let printed = result["stdout"].as_str().unwrap();
    assert!(!printed.is_empty() && printed != "A", "a socket was opened");
}
