//! The gateway: what flows, what is cut, what is too much.

use std::io::{Read, Write};

use e2e::http::{Request, read_head, read_head_from};
use e2e::services::{get, request, spec};
use e2e::{Door, Server, Setup, Traffic, Value, eventually, json, patience, signal_to};
use nix::sys::signal::Signal::SIGKILL;

fn setup() -> Setup {
    Setup::with_services(&[
        ("clock", spec("clock", json!({ "module": "clock" }))),
        ("cgi", spec("cgi", json!({ "module": "cgi_echo", "kind": "handler" }))),
    ])
}

fn server() -> Server {
    let server = setup().start();
    server.until_service("clock", "ready");
    server
}

fn under_way(server: &Server) -> u64 {
    server.service("clock")["instances"][0]["requests"].as_u64().unwrap_or_default()
}

#[test]
fn bodies_flow_in_both_directions_as_they_come() {
    let server = server();
    let events = server.via("/clock/stream");
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert_eq!(events.text(), "data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n");
    // More than anybody keeps: what is read arrives while the rest is not even made.
    let mut endless = server.via("/clock/big?bytes=100000000000");
    endless.read_exact(&mut vec![0; 3_000_000]).unwrap();
    assert_eq!(under_way(&server), 1);
    drop(endless);
    eventually("it is over when nobody reads", || (under_way(&server) == 0).then_some(()));

    // The second half of a body is sent when the first one has come back.
    let half = vec![b'x'; 300_000];
    let mut wire = server.gateway().connect(patience()).unwrap();
    let head =
        "POST /cgi/echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 600000\r\n\r\n";
    wire.write_all(head.as_bytes()).unwrap();
    wire.write_all(&half).unwrap();
    let mut reply = read_head(wire.try_clone().unwrap()).unwrap();
    assert_eq!(reply.status, 200);
    reply.read_exact(&mut vec![0; 300_000]).unwrap();
    wire.write_all(&half).unwrap();
    assert_eq!(reply.body().len(), 300_000);

    let body = "ä".repeat(500_000);
    let echo = Request { method: "POST", path: "/clock/echo", headers: &[], body: body.as_bytes() };
    let reply = echo.send_both_ways(&server.gateway(), patience()).unwrap().json();
    assert!(reply["body"] == body, "it came back changed");
    assert_eq!(server.via("/clock/big?bytes=20000000").body().len(), 20_000_000);
}

/// A frame as a client sends it.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x80 | kind];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).expect("a short payload").to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[test]
fn a_websocket_is_a_way_through() {
    let server = server();
    let plain = server.via("/clock/ws");
    assert_eq!((plain.status, plain.header("upgrade")), (426, None), "without asking for it there is none");
    for door in [server.gateway(), server.gateway_socket()] {
        let mut wire = door.connect(patience()).unwrap();
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let head = format!(
            "GET /clock/ws HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n"
        );
        wire.write_all(head.as_bytes()).unwrap();
        let reply = read_head(wire.try_clone().unwrap()).unwrap();
        assert_eq!((reply.status, reply.header("upgrade")), (101, Some("websocket")));
        assert_eq!(reply.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        let mut stream = reply.into_stream();
        let long = vec![b'y'; 40_000];
        for (kind, back, payload) in
            [(1, 1, &b"hello"[..]), (9, 10, b"ping"), (2, 2, &long), (1, 1, b"again"), (8, 8, b"")]
        {
            wire.write_all(&frame(kind, payload)).unwrap();
            let mut head = [0; 2];
            stream.read_exact(&mut head).unwrap();
            assert_eq!(head[0], 0x80 | back);
            if head[1] == 126 {
                stream.read_exact(&mut [0; 2]).unwrap();
            }
            let mut answer = vec![0; payload.len()];
            stream.read_exact(&mut answer).unwrap();
            assert!(answer == payload);
        }
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "it is closed");
    }
    eventually("no request is under way", || (under_way(&server) == 0).then_some(()));
}

#[test]
fn a_service_that_is_killed_while_it_answers_breaks_its_own_requests_only() {
    let services = [
        ("clock", spec("clock", json!({ "module": "clock" }))),
        ("hello", spec("hello", json!({ "module": "hello" }))),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("hello", "ready");
    let service = server.until_service("clock", "ready");
    let door = server.gateway();
    let others = Traffic::start(1, &door, "/hello/hello", "hello, world\n");
    std::thread::scope(|scope| {
        // Not a GET: that may be sent again to the next process.
        let slow = scope.spawn(|| request(&door, "POST", "/clock/slow?ms=600000", &[], b""));
        let mut half = server.via("/clock/big?bytes=100000000000");
        half.read_exact(&mut [0; 1000]).unwrap();
        eventually("both are under way", || (under_way(&server) == 2).then_some(()));
        signal_to(service["instances"][0]["pid"].as_u64().unwrap() as u32, SIGKILL);
        let reply = slow.join().expect("there is an answer");
        assert_eq!(reply.status, 502);
        assert_eq!(reply.json()["error"]["service"], "clock");
        assert!(std::io::copy(&mut half, &mut std::io::sink()).is_err(), "it looks whole");
    });
    eventually("it is back", || {
        let status = server.via("/clock/slow?ms=1").status;
        assert!(matches!(status, 200 | 502), "{status}");
        (status == 200).then_some(())
    });
    assert_eq!(server.service("clock")["restarts"], 1);
    others.flows(3);
    let (bad, _) = others.stop();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn a_thousand_connections_are_answered() {
    let services = [("hello", spec("hello", json!({ "module": "hello" })))];
    let server = Setup::with_services(&services).start();
    server.until_service("hello", "ready");
    let door = server.gateway();
    // One process answers them all, interpreted: on a busy machine that takes a while.
    let mut wires: Vec<_> = (0..1000).map(|_| door.connect(4 * patience()).unwrap()).collect();
    for wire in &mut wires {
        wire.write_all(b"GET /hello/hello HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    }
    let mut readers = Vec::new();
    for wire in &wires {
        let mut reply = read_head(wire.try_clone().unwrap()).unwrap();
        let mut body = [0; 13];
        reply.read_exact(&mut body).unwrap();
        assert_eq!((reply.status, &body), (200, b"hello, world\n"));
        readers.push(reply.into_stream());
    }
    // All of them are open, and can ask again.
    for (wire, reader) in wires.iter_mut().zip(readers).step_by(20) {
        wire.write_all(b"GET /hello/health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        assert_eq!(read_head_from(reader).unwrap().status, 200);
    }
    assert_eq!(server.service("hello")["requests"], 1050);
}

/// The status of an answer, and the code in it.
fn code(reply: e2e::http::Reply) -> (u16, Value) {
    (reply.status, reply.json()["error"]["code"].clone())
}

#[test]
fn what_is_too_large_is_refused_with_a_word() {
    let server = setup().set("gateway_body_max_bytes", 100_000).start();
    server.until_service("clock", "ready");
    let door = server.gateway();
    assert_eq!(request(&door, "POST", "/clock/echo", &[], &[b'x'; 100_000]).status, 200);
    let reply = request(&door, "POST", "/clock/echo", &[], &[b'x'; 100_001]);
    assert_eq!(code(reply), (413, json!("body_too_large")));
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000));
    for path in ["/clock/echo", "/cgi/echo"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
        let answer = door.exchange(format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes(), patience()).unwrap();
        // A handler may have begun to answer; then it is cut.
        let begun =
            path == "/cgi/echo" && answer.starts_with(b"HTTP/1.1 200") && !answer.ends_with(b"\r\n0\r\n\r\n");
        assert!(answer.starts_with(b"HTTP/1.1 413") || begun, "{path}: {}", String::from_utf8_lossy(&answer));
    }
    let long = "x".repeat(100_000);
    let reply = request(&door, "GET", "/clock/echo", &[("x-long", &long)], b"");
    assert_eq!(code(reply), (431, json!("head_too_large")));
    assert_eq!(server.text_via("/clock/slow?ms=1"), "after 1 ms\n");
}

#[test]
fn what_is_too_slow_is_refused_with_a_word() {
    let server = setup()
        .set("gateway_head_timeout_ms", 300)
        .set("gateway_body_timeout_ms", 300)
        .set("gateway_response_timeout_ms", 1000)
        .start();
    server.until_service("clock", "ready");
    let door = server.gateway();
    let answer = door.exchange(b"GET /clock/echo HTTP/1.1\r\nhost: loc", patience()).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    for path in ["/clock/echo", "/cgi/echo"] {
        let half = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf");
        let answer = door.exchange(half.as_bytes(), patience()).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 408"), "{path}: {}", String::from_utf8_lossy(&answer));
    }
    let reply = server.via("/clock/slow?ms=600000");
    assert_eq!(reply.status, 504);
    assert_eq!(reply.json()["error"]["service"], "clock");
    eventually("it is served again", || (server.via("/clock/slow?ms=1").status == 200).then_some(()));
    eventually("nothing is under way", || (under_way(&server) == 0).then_some(()));
}

#[test]
fn who_asks_first_is_told_to_go_on() {
    let server = server();
    for (path, answer) in [("/clock/echo", "\"body\":\"abc\""), ("/cgi/echo", "abc")] {
        let mut wire = server.gateway().connect(patience()).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
        );
        wire.write_all(head.as_bytes()).unwrap();
        let go_on = read_head(wire.try_clone().unwrap()).unwrap();
        assert_eq!(go_on.status, 100, "{path}");
        wire.write_all(b"abc").unwrap();
        let reply = read_head_from(go_on.into_stream()).unwrap();
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.text().contains(answer), "{path}");
    }
    let mut wire = server.gateway().connect(patience()).unwrap();
    let head =
        "POST /nobody HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
    wire.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_head(wire).unwrap().status, 404, "or not");
}

#[test]
fn as_many_connections_as_are_allowed_and_no_more() {
    let server = setup().set("gateway_max_connections", 5).start();
    server.until_service("clock", "ready");
    let door = server.gateway();
    let held: Vec<_> = (0..5)
        .map(|_| {
            let mut wire = door.connect(patience()).unwrap();
            wire.write_all(b"GET /clock/count HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            let reply = read_head(wire.try_clone().unwrap()).unwrap();
            assert_eq!(reply.status, 200);
            wire
        })
        .collect();
    let refused = get(&door, "/clock/count");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["error"]["code"], "too_many_connections");
    drop(held);
    eventually("there is room again", || (get(&door, "/clock/count").status == 200).then_some(()));
}

#[test]
fn a_gateway_whose_port_is_taken_serves_its_socket_all_the_same() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let server = setup().set("gateway_listen", taken.local_addr().unwrap()).start();
    server.until_service("clock", "ready");
    assert!(server.call("service_list", json!({}))["gateway"].is_null());
    let socket = server.gateway_socket();
    assert_eq!(get(&socket, "/clock/slow?ms=1").text(), "after 1 ms\n");
    assert!(matches!(socket, Door::Unix(path) if path.exists()));
}
