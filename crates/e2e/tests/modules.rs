//! Modules: registering, refusing, replacing, removing.

use base64::Engine as _;
use e2e::{Server, Setup, Value, json, places};
use sha2::{Digest, Sha256};

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn guest(name: &str) -> Vec<u8> {
    std::fs::read(places::guest(name)).expect("guests are built")
}

/// A module that ends with this exit code.
fn exits(code: u32) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const {code}))))"#
    );
    wat::parse_str(text).expect("it is a module")
}

fn names(server: &Server) -> Vec<String> {
    let list = server.call("module_list", json!({}));
    let modules = list["modules"].as_array().cloned().unwrap_or_default();
    modules.iter().map(|module| module["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Offers a file in both ways; it has to be refused in both, for the same reason, and leave nothing behind.
fn refused(server: &Server, wasm: &[u8], code_name: &str) -> String {
    let put = server.refusal("module_put", json!({ "name": "offered", "base64": base64(wasm) }));
    assert_eq!(put["data"]["code_name"], code_name, "{put:#}");
    for path in ["/modules/offered", "/modules"] {
        let reply = server.http("POST", path, &[], wasm);
        let status = reply.status;
        assert!(matches!(status, 413 | 422), "{status}");
        let upload = reply.json();
        assert_eq!(upload["data"], put["data"], "both ways say the same");
        assert_eq!(upload["message"], put["message"]);
    }
    assert!(!names(server).contains(&"offered".to_owned()));
    assert_eq!(server.refusal_name("session_start", json!({ "module": "offered" })), "module_not_found");
    put["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_module_says_what_it_is() {
    let server = Server::start();
    let wasm = guest("hello");
    let module = server.call("module_get", json!({ "name": "hello" }));
    assert_eq!(module["digest"], format!("sha256:{}", sha256(&wasm)));
    assert_eq!((&module["kind"], &module["size"]), (&json!("core"), &json!(wasm.len())));
    let imports = module["imports"].as_array().unwrap();
    assert!(imports.iter().all(|import| import["module"] == "wasi_snapshot_preview1"));
    let write = imports.iter().find(|import| import["name"] == "fd_write").unwrap();
    assert_eq!(write["ty"], "func (i32, i32, i32, i32) -> (i32)");
    let exports = module["exports"].as_array().unwrap();
    assert!(exports.iter().any(|export| export["name"] == "_start" && export["ty"] == "func () -> ()"));
    assert_eq!(server.call("module_get", json!({ "name": module["digest"] }))["digest"], module["digest"]);
    assert_eq!(server.refusal_name("module_get", json!({ "name": "nothing" })), "module_not_found");
}

#[test]
fn a_module_that_was_put_can_be_run_listed_and_removed() {
    let server = Server::start();
    let wasm = exits(3);
    let put = json!({ "name": "three", "base64": base64(&wasm), "sha256": sha256(&wasm) });
    let module = server.call("module_put", put.clone());
    assert_eq!(module, server.call("module_get", json!({ "name": "three" })));
    assert_eq!(server.run(json!({ "module": "three" }))["exit_code"], 3);
    assert!(names(&server).contains(&"three".to_owned()));
    assert_eq!(server.call("module_put", put)["digest"], module["digest"], "again is no error");
    assert_eq!(server.call("module_remove", json!({ "name": "three" })), json!({ "ok": true }));
    assert_eq!(server.refusal_name("module_remove", json!({ "name": "three" })), "module_not_found");
    assert_eq!(server.refusal_name("session_start", json!({ "module": "three" })), "module_not_found");
    let by_digest = json!({ "module": module["digest"] });
    assert_eq!(server.refusal_name("session_start", by_digest), "module_not_found");
}

#[test]
fn an_upload_without_a_name_is_found_by_its_digest() {
    let server = Server::start();
    let wasm = exits(4);
    let reply = server.http("POST", "/modules", &[("x-sha256", &sha256(&wasm))], &wasm).json();
    let digest = format!("sha256:{}", sha256(&wasm));
    assert_eq!((&reply["digest"], &reply["name"]), (&json!(digest), &json!("")));
    assert_eq!(server.run(json!({ "module": digest }))["exit_code"], 4);
}

#[test]
fn bytes_that_are_not_those_announced_are_refused() {
    let server = Server::start();
    let wasm = exits(5);
    let wrong = sha256(b"something else");
    let put = json!({ "name": "five", "base64": base64(&wasm), "sha256": wrong });
    assert_eq!(server.refusal_name("module_put", put), "digest_mismatch");
    let upload = server.http("POST", "/modules/five", &[("x-sha256", &wrong)], &wasm);
    assert_eq!(upload.status, 422);
    assert_eq!(upload.json()["data"]["code_name"], "digest_mismatch");
    assert!(!names(&server).contains(&"five".to_owned()));
    for nonsense in ["xyz", "", &wrong[1..]] {
        assert_eq!(server.http("POST", "/modules/five", &[("x-sha256", nonsense)], &wasm).status, 400);
    }
    let upper = sha256(&wasm).to_uppercase();
    assert_eq!(server.http("POST", "/modules/five", &[("x-sha256", &upper)], &wasm).status, 200);
}

#[test]
fn what_is_no_complete_module_is_refused_with_the_place_where_it_breaks() {
    let server = Server::start();
    let wasm = guest("hello");
    assert!(refused(&server, b"", "module_invalid").contains("empty"));
    for cut in [1, 4, 7, 9, 100, wasm.len() / 3, wasm.len() / 2] {
        let message = refused(&server, &wasm[..cut], "module_invalid");
        assert!(message.contains("offset") || cut < 4, "{cut}: {message}");
    }
    for nonsense in [b"PK\x03\x04 a zip file".as_slice(), b"#!/bin/sh\n", b"\0asm\x02\0\0\0", &[0; 4096]] {
        let _ = refused(&server, nonsense, "module_invalid");
    }
    assert!(refused(&server, b"(module)", "module_invalid").contains("text format"));
}

#[test]
fn a_module_with_a_flipped_bit_is_refused_or_runs_and_disturbs_nobody() {
    let server = Server::start();
    let wasm = exits(6);
    for place in 0..wasm.len() * 8 {
        let mut flipped = wasm.clone();
        flipped[place / 8] ^= 1 << (place % 8);
        let reply = server.http("POST", "/modules/flipped", &[], &flipped);
        assert!(matches!(reply.status, 200 | 413 | 422), "bit {place}: {}", reply.status);
        if reply.status == 200 {
            let id = server.session(json!({ "module": "flipped", "timeout_ms": 5000, "memory_limit_mb": 8 }));
            let _ = server.wait(&id);
        } else {
            let name = reply.json()["data"]["code_name"].as_str().unwrap().to_owned();
            assert!(name.starts_with("module_") || name == "too_large", "bit {place}: {name}");
        }
    }
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);
    assert_eq!(server.get("/health").json()["status"], "ok");
}

#[test]
fn a_component_with_nothing_to_run_is_refused() {
    let server = Server::start();
    let message = refused(&server, b"\0asm\x0d\0\x01\0", "module_invalid");
    assert!(message.contains("component") && message.contains("exports nothing"), "{message}");
}

#[test]
fn code_that_was_compiled_elsewhere_is_refused() {
    let server = Server::start();
    let _ = refused(&server, b"\x7fELF\x02\x01\x01\0rest", "module_unsupported");
    // What `wasmedge compile` writes: the module, and machine code in a custom section.
    let mut universal = exits(0);
    universal.extend([0, 13, 8]);
    universal.extend(b"wasmedge");
    universal.extend([1, 2, 3, 4]);
    let message = refused(&server, &universal, "module_unsupported");
    assert!(message.contains("compiled elsewhere"), "{message}");
}

#[test]
fn a_missing_import_is_named() {
    let server = Server::start();
    for (import, named) in [
        (r#"(import "env" "launch_missiles" (func))"#, "launch_missiles"),
        (r#"(import "wasi_snapshot_preview1" "no_such_call" (func))"#, "no_such_call"),
        (r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i64)))"#, "fd_write"),
        (
            r#"(import "wasi_unstable" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#,
            "wasi_unstable",
        ),
        (r#"(import "env" "memory" (memory 1))"#, "memory"),
    ] {
        let text = format!("(module {import} (func (export \"_start\")))");
        let message = refused(&server, &wat::parse_str(text).unwrap(), "module_import_missing");
        assert!(message.contains(named), "{named}: {message}");
    }
}

#[test]
fn a_module_without_a_beginning_is_refused() {
    let server = Server::start();
    for text in [
        "(module)",
        "(module (func (export \"main\")))",
        "(module (func (export \"_start\") (param i32)))",
        "(module (memory (export \"_start\") 1))",
    ] {
        let _ = refused(&server, &wat::parse_str(text).unwrap(), "module_invalid");
    }
}

#[test]
fn a_module_that_is_too_large_is_refused() {
    let server = Setup::new().set("module_max_bytes", 20_000).services("/").start();
    let wasm = [exits(0), vec![0; 30_000]].concat();
    assert!(refused(&server, &wasm, "too_large").contains("20000"));
    let _ = server.upload("small", &exits(0));
}

#[test]
fn a_name_that_cannot_be_one_is_refused() {
    let server = Server::start();
    let wasm = exits(0);
    for name in ["UPPER", "", "a b", "-a", "ümlaut", "a/b", "..", "sha256:abc", &"x".repeat(65)] {
        let put = json!({ "name": name, "base64": base64(&wasm) });
        assert_eq!(server.refusal_name("module_put", put), "name_invalid", "{name:?}");
    }
    for name in ["UPPER", "a%20b", "a%2Fb", "%2e%2e", "%00"] {
        let reply = server.http("POST", &format!("/modules/{name}"), &[], &wasm);
        assert_eq!(reply.status, 400, "{name:?}");
        assert_eq!(reply.json()["data"]["code_name"], "name_invalid", "{name:?}");
    }
    let garbage = json!({ "name": "fine", "base64": "%%%" });
    assert_eq!(server.refusal_name("module_put", garbage), "invalid_params");
}

#[test]
fn a_module_that_runs_is_not_removed() {
    let server = Server::start();
    let wasm = guest("echo");
    // Names of their own would keep the content otherwise.
    let _ = server.upload("mine", &[wasm.clone(), custom_section("a")].concat());
    let id = server.session(json!({ "module": "mine", "stdin_open": true }));
    let refusal = server.refusal("module_remove", json!({ "name": "mine" }));
    assert_eq!(refusal["data"]["code_name"], "module_in_use");
    let digest = server.info(&id)["digest"].clone();
    assert_eq!(server.refusal_name("module_remove", json!({ "name": digest })), "invalid_state");
    let _ = server.call("session_stdin", json!({ "session_id": id, "close": true }));
    let _ = server.wait(&id);
    assert_eq!(server.call("module_remove", json!({ "name": "mine" })), json!({ "ok": true }));
    assert_eq!(server.wait(&id)["success"], true, "its sessions are remembered");
}

/// A custom section, which changes the digest and nothing else.
fn custom_section(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a short name");
    [&[0, length + 1, length], name.as_bytes()].concat()
}

#[test]
fn a_name_that_is_given_anew_means_the_new_module_from_then_on() {
    let server = Server::start();
    let _ = server.upload("tool", &[guest("echo"), custom_section("old")].concat());
    let old = server.session(json!({ "module": "tool", "stdin_open": true }));
    let _ = server.upload("tool", &exits(9));
    assert_eq!(server.run(json!({ "module": "tool" }))["exit_code"], 9);
    let _ = server.call("session_stdin", json!({ "session_id": old, "data": "still here\n", "close": true }));
    assert_eq!(server.wait(&old)["stdout"], "still here\n");
}

#[test]
fn what_was_put_is_still_there_after_a_restart() {
    let mut server = Server::start();
    let module = server.upload("kept", &exits(11));
    server.kill();
    server.start_again();
    let again = server.call("module_get", json!({ "name": "kept" }));
    assert_eq!(again["digest"], module["digest"]);
    assert_eq!(again["created_at"], module["created_at"]);
    assert_eq!(server.run(json!({ "module": "kept" }))["exit_code"], 11);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    use std::io::Write;
    let server = Server::start();
    let calm = e2e::canary::Calm::of(&server);
    let descriptors = || e2e::census::open_files(server.pid()).len();
    let before = descriptors();
    let streams: Vec<_> = (0..5)
        .map(|_| {
            let mut stream = std::os::unix::net::UnixStream::connect(server.socket()).unwrap();
            let head = "POST /modules/half HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&guest("hello")).unwrap();
            stream
        })
        .collect();
    // Each has its connection and its file.
    e2e::eventually("the uploads have begun", || (descriptors() >= before + 10).then_some(()));
    drop(streams);
    calm.is_back(&server);
    let list: Vec<Value> = names(&server).into_iter().map(Value::from).collect();
    assert!(!list.contains(&json!("half")));
}
