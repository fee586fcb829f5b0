//! `session_logs`: what a guest writes, in order, whole, and from any place on.

use base64::Engine as _;
use e2e::{Server, Setup, Value, eventually, json};

/// A module that writes these pieces, each with one `fd_write` to the descriptor beside it.
fn writes(pieces: &[(u32, &str)]) -> Vec<u8> {
    let (mut data, mut calls, mut at) = (String::new(), String::new(), 1024);
    for (fd, text) in pieces {
        let bytes: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        data += &format!("(data (i32.const {at}) \"{bytes}\")\n");
        calls += &format!("(call $print (i32.const {fd}) (i32.const {at}) (i32.const {}))\n", text.len());
        at += text.len();
    }
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            {data}
            (func $print (param $fd i32) (param $at i32) (param $len i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $len))
                (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func (export "_start") {calls}))"#
    );
    wat::parse_str(text).expect("it is a module")
}

fn bytes_of(line: &Value) -> Vec<u8> {
    match line["base64"].as_str() {
        Some(text) => base64::engine::general_purpose::STANDARD.decode(text).expect("it is base64"),
        None => line["line"].as_str().unwrap_or_default().as_bytes().to_vec(),
    }
}

/// All that was written to standard output, put together again.
fn joined(lines: &[Value]) -> Vec<u8> {
    let mut all = Vec::new();
    for line in lines.iter().filter(|line| line["kind"] == "stdout") {
        all.extend(bytes_of(line));
        if line["partial"] != true {
            all.push(b'\n');
        }
    }
    all
}

fn page(server: &Server, request: Value) -> Value {
    server.call("session_logs", request)
}

fn seqs(page: &Value) -> Vec<u64> {
    page["lines"].as_array().unwrap_or(&Vec::new()).iter().filter_map(|line| line["seq"].as_u64()).collect()
}

#[test]
fn both_streams_keep_the_order_in_which_the_guest_wrote() {
    let server = Server::start();
    let mut pieces = Vec::new();
    for round in 0..200 {
        // Not simply in turns.
        pieces.push((if round % 3 == 0 { 2 } else { 1 }, format!("line {round}\n")));
    }
    let borrowed: Vec<(u32, &str)> = pieces.iter().map(|(fd, text)| (*fd, text.as_str())).collect();
    let _ = server.upload("order", &writes(&borrowed));
    let id = server.session(json!({ "module": "order" }));
    assert_eq!(server.wait(&id)["success"], true);
    let lines = server.lines(&id);
    assert_eq!(lines.len(), 200);
    let mut before = 0;
    for (round, line) in lines.iter().enumerate() {
        assert_eq!(line["seq"], round);
        assert_eq!(line["line"], format!("line {round}"));
        assert_eq!(line["kind"], if round % 3 == 0 { "stderr" } else { "stdout" });
        let ts_ms = line["ts_ms"].as_u64().unwrap();
        assert!(ts_ms >= before);
        before = ts_ms;
    }
}

#[test]
fn a_line_may_come_in_pieces_and_several_in_one() {
    let server = Server::start();
    let _ = server.upload("pieces", &writes(&[(1, "a"), (1, "b"), (1, "c\nd\n\ne"), (1, "f\n"), (2, "err")]));
    let id = server.session(json!({ "module": "pieces" }));
    let result = server.wait(&id);
    assert_eq!((&result["stdout"], &result["stderr"]), (&json!("abc\nd\n\nef\n"), &json!("err")));
    let lines = server.lines(&id);
    let last = lines.last().unwrap();
    assert_eq!((&last["line"], &last["partial"]), (&json!("err"), &json!(true)), "{lines:#?}");
    assert!(lines[..lines.len() - 1].iter().all(|line| line.get("partial").is_none()));
}

#[test]
fn bytes_that_break_naive_readers_stay_as_they_are() {
    let server = Server::start();
    let id = server.session(json!({ "module": "faulty_noisy_bytes" }));
    assert_eq!(server.wait(&id)["success"], true);
    let lines = server.lines(&id);
    let mut expected: Vec<u8> = [
        b"plain\n".as_slice(),
        b"\xff\xfe\x80 is not UTF-8\n",
        b"nul \0 inside\n",
        b"carriage \r return\n",
        b"carriage return at the end\r\n",
        b"\x1b[31mred\x1b[0m \x1b]0;title\x07 bell\n",
        "separators \u{2028} and \u{85}\n".as_bytes(),
        b"\n\nevent: end\ndata: forged\n\n",
        b"\r\revent: end\rdata: forged\r\r\n",
        b"\n",
    ]
    .concat();
    expected.extend([b'L'; 100 * 1024]);
    expected.extend(b"\nno newline at the end");
    assert!(joined(&lines) == expected, "{lines:#?}");
    // What UTF-8 can hold is text, and only the rest is in base64.
    assert_eq!(lines[0]["line"], "plain");
    assert_eq!(lines[1]["line"], "\u{fffd}\u{fffd}\u{fffd} is not UTF-8");
    assert!(lines[1]["base64"].is_string());
    assert_eq!(lines[2]["line"], "nul \0 inside");
    assert!(lines[2].get("base64").is_none());
    // Nothing is longer than a record of journald, and what was cut is marked.
    assert!(lines.iter().all(|line| bytes_of(line).len() <= 48 * 1024));
    let long: Vec<bool> = lines
        .iter()
        .filter(|line| line["line"].as_str().unwrap().starts_with('L'))
        .map(|line| line["partial"] == true)
        .collect();
    assert_eq!(long, [true, true, false]);
}

#[test]
fn a_page_begins_after_a_line_and_has_a_limit() {
    let server = Server::start();
    let id = server.session(json!({ "module": "ticker", "args": ["10", "1"] }));
    let _ = server.wait(&id);
    let from = |more: Value| {
        let mut request = json!({ "session_id": id });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        page(&server, request)
    };
    let all = from(json!({}));
    assert_eq!(seqs(&all), (0..10).collect::<Vec<u64>>());
    assert_eq!((&all["next_seq"], &all["gap"], &all["end"]), (&json!(10), &json!(0), &json!(true)));
    assert_eq!(all["next_ts_ms"], all["lines"][9]["ts_ms"]);

    let first = from(json!({ "limit": 4 }));
    assert_eq!(
        (seqs(&first), &first["next_seq"], &first["end"]),
        (vec![0, 1, 2, 3], &json!(4), &json!(false))
    );
    let second = from(json!({ "limit": 4, "after_seq": 3 }));
    assert_eq!(seqs(&second), [4, 5, 6, 7]);
    let third = from(json!({ "limit": 4, "after_seq": 7 }));
    assert_eq!((seqs(&third), &third["end"]), (vec![8, 9], &json!(true)));
    let rest = from(json!({ "after_seq": 9 }));
    assert_eq!((seqs(&rest), &rest["next_seq"], &rest["end"]), (vec![], &json!(10), &json!(true)));

    assert_eq!(seqs(&from(json!({ "tail": 3 }))), [7, 8, 9]);
    assert_eq!(seqs(&from(json!({ "tail": 100 }))).len(), 10);
    assert_eq!(seqs(&from(json!({ "tail": 0 }))), [0; 0]);

    let time = all["lines"][4]["ts_ms"].as_u64().unwrap();
    let after = from(json!({ "after_ts_ms": time }));
    let expected: Vec<u64> = all["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["ts_ms"].as_u64().unwrap() > time)
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs(&after), expected);
    let far = from(json!({ "after_ts_ms": 99_999_999_999_999_u64 }));
    assert_eq!((seqs(&far), &far["end"]), (vec![], &json!(true)));

    for both in [json!({ "after_seq": 1, "tail": 1 }), json!({ "after_seq": 1, "after_ts_ms": 1 })] {
        let mut request = json!({ "session_id": id });
        request.as_object_mut().unwrap().extend(both.as_object().unwrap().clone());
        assert_eq!(server.refusal_name("session_logs", request), "invalid_params");
    }
}

#[test]
fn the_last_lines_are_the_last_also_when_they_are_many() {
    let server = Server::start();
    let id = server.session(json!({ "module": "faulty_flood", "args": ["5000"] }));
    let _ = server.wait(&id);
    let last = page(&server, json!({ "session_id": id, "tail": 3000 }));
    assert_eq!(seqs(&last), (2000..5000).collect::<Vec<u64>>());
    assert_eq!(last["end"], true);
    let fewer = page(&server, json!({ "session_id": id, "tail": 3000, "limit": 10 }));
    assert_eq!(seqs(&fewer), (4990..5000).collect::<Vec<u64>>());
}

#[test]
fn a_long_flood_is_read_page_by_page_and_none_is_missing() {
    let server = Setup::new().set("ring_lines", 16).start();
    let id = server.session(json!({ "module": "faulty_flood", "args": ["100000"] }));
    let mut next = 0;
    eventually("every line is read", || {
        let mut request = json!({ "session_id": id, "limit": 10_000, "wait_ms": 1000 });
        if next > 0 {
            request["after_seq"] = json!(next - 1);
        }
        let page = page(&server, request);
        assert_eq!(page["gap"], 0);
        for line in page["lines"].as_array().unwrap() {
            assert_eq!(line["seq"], next);
            next += 1;
            let text = line["line"].as_str().unwrap();
            assert!(text.len() == 99 && text.starts_with(&format!("{next:012} ")), "{text}");
        }
        (page["end"] == true).then_some(())
    });
    assert_eq!(next, 100_000);
}

#[test]
fn a_flood_without_a_newline_is_cut_and_put_together_again() {
    let server = Server::start();
    let id = server.session(json!({ "module": "faulty_flood", "args": ["5000", "--no-newline"] }));
    assert_eq!(server.wait(&id)["success"], true);
    let lines = server.lines(&id);
    assert!(lines.iter().all(|line| line["partial"] == true && bytes_of(line).len() <= 48 * 1024));
    let all = joined(&lines);
    assert_eq!(all.len(), 500_000);
    for (number, piece) in all.chunks(100).enumerate() {
        assert!(piece.starts_with(format!("{:012} ", number + 1).as_bytes()));
    }
}

#[test]
fn a_long_poll_returns_with_the_next_line_and_at_the_end() {
    let server = Server::start();
    let id = server.session(json!({ "module": "echo", "stdin_open": true }));
    let poll = |after: Option<u64>| {
        page(&server, json!({ "session_id": id, "after_seq": after, "wait_ms": 60_000 }))
    };
    let empty = page(&server, json!({ "session_id": id, "wait_ms": 20 }));
    assert_eq!((seqs(&empty), &empty["next_seq"], &empty["end"]), (vec![], &json!(0), &json!(false)));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| poll(None));
        let _ = server.call("session_stdin", json!({ "session_id": id, "data": "one\n" }));
        assert_eq!(seqs(&first.join().unwrap()), [0]);
        let last = scope.spawn(|| poll(Some(0)));
        let _ = server.call("session_stdin", json!({ "session_id": id, "close": true }));
        let last = last.join().unwrap();
        assert_eq!((seqs(&last), &last["end"]), (vec![], &json!(true)));
    });
}

#[test]
fn lines_that_the_history_dropped_are_announced_as_a_gap() {
    let server = Setup::new().set("history_session_bytes", 200_000).set("ring_lines", 16).start();
    let id = server.session(json!({ "module": "faulty_flood", "args": ["100000"] }));
    let result = server.wait(&id);
    assert_eq!((&result["success"], &result["truncated"]), (&json!(true), &json!(true)));
    eventually("the history keeps its limit", || {
        let page = page(&server, json!({ "session_id": id, "limit": 10_000 }));
        let (gap, first) = (page["gap"].as_u64().unwrap(), seqs(&page)[0]);
        assert_eq!(gap, first, "what is missing is counted");
        (gap > 80_000).then_some(())
    });
    let last = page(&server, json!({ "session_id": id, "tail": 5 }));
    assert_eq!(seqs(&last), [99_995, 99_996, 99_997, 99_998, 99_999]);
    assert!(server.stats()["log_dropped_total"].as_u64().unwrap() > 0);
}
