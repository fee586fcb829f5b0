//! Services and the compiler: one that runs interpreted is replaced when its module has been compiled.

use e2e::services::{free_port, spec};
use e2e::{Setup, Traffic, eventually, json};

/// A service of a few instructions, so that it is compiled at once: it answers every request with this text.
fn tiny(port: u16, text: &str) -> Vec<u8> {
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len());
    let bytes = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let word = |number: usize| bytes(&(number as u32).to_le_bytes());
    let import = |name: &str, count: usize| {
        let params = "i32 ".repeat(count);
        format!(r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {params}) (result i32)))"#)
    };
    let module = format!(
        r#"(module {open} {bind} {listen} {accept} {recv} {send} {close}
            (memory (export "memory") 1)
            (data (i32.const 0) "{address_at}{four}") (data (i32.const 8) "\7f\00\00\01")
            (data (i32.const 16) "{request_at}{room}") (data (i32.const 24) "{answer_at}{length}")
            (data (i32.const 1024) "{answer}")
            (func $listener (result i32) (i32.load (i32.const 32)))
            (func $client (result i32) (i32.load (i32.const 36)))
            (func (export "_start")
                (drop (call $sock_open (i32.const 1) (i32.const 2) (i32.const 32)))
                (if (call $sock_bind (call $listener) (i32.const 0) (i32.const {port})) (then unreachable))
                (if (call $sock_listen (call $listener) (i32.const 128)) (then unreachable))
                (loop $next
                    (if (i32.eqz (call $sock_accept (call $listener) (i32.const 36))) (then
                        (drop (call $sock_recv (call $client) (i32.const 16) (i32.const 1) (i32.const 0)
                            (i32.const 40) (i32.const 44)))
                        (drop (call $sock_send (call $client) (i32.const 24) (i32.const 1) (i32.const 0)
                            (i32.const 40)))
                        (drop (call $fd_close (call $client)))))
                    (br $next))))"#,
        open = import("sock_open", 3),
        bind = import("sock_bind", 3),
        listen = import("sock_listen", 2),
        accept = import("sock_accept", 2),
        recv = import("sock_recv", 6),
        send = import("sock_send", 5),
        close = import("fd_close", 1),
        address_at = word(8),
        four = word(4),
        request_at = word(4096),
        room = word(8192),
        answer_at = word(1024),
        length = word(answer.len()),
        answer = bytes(answer.as_bytes()),
    );
    wat::parse_str(module).expect("the text is right")
}

#[test]
fn one_that_runs_interpreted_is_replaced_by_what_was_compiled() {
    let port = free_port();
    let services = [("tiny", spec("tiny", json!({ "port": port })))];
    let server = Setup::with_services(&services).compiling().start();
    server.until_service("tiny", "failed");
    server.put_module("tiny", &tiny(port, "one"));
    let _ = server.call("service_reload", json!({}));
    server.order("service_start", "tiny");
    server.until_service("tiny", "ready");
    let first = server.service_session("tiny");
    let traffic = Traffic::start(2, &server.gateway(), "/tiny/", "one");
    if server.info(&first)["mode"] == "interpreted" {
        server.until_other("tiny", &first);
    }
    assert_eq!(server.info(&server.service_session("tiny"))["mode"], "compiled");
    traffic.flows(20);
    let (bad, _) = traffic.stop();
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(server.service("tiny")["restarts"], 0);
    // Another one is compiled, too.
    server.put_module("tiny", &tiny(port, "two"));
    let _ = server.call("service_reload", json!({ "name": "tiny" }));
    assert_eq!(server.text_of("tiny", "/"), "two");
    eventually("it is compiled", || {
        (server.info(&server.service_session("tiny"))["mode"] == "compiled").then_some(())
    });
    assert_eq!(server.text_via("/tiny/"), "two");
}
