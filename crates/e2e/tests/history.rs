//! What outlives the server.

use e2e::{Server, Setup, Value, eventually, json};

fn outcome(server: &Server, id: &str) -> Value {
    server.info(id)["outcome"]["kind"].clone()
}

#[test]
fn sessions_and_their_logs_survive_a_restart() {
    let mut server = Server::start();
    let requests = [
        json!({ "module": "hello", "labels": { "a": "b" } }),
        json!({ "module": "faulty_exit7", "args": ["x"] }),
        json!({ "module": "faulty_trap", "timeout_ms": 10_000 }),
        json!({ "module": "faulty_noisy_bytes" }),
        json!({ "module": "faulty_flood", "args": ["3000"] }),
        json!({ "module": "faulty_spin", "timeout_ms": 100 }),
    ];
    let ids = requests.map(|request| server.session(request));
    ids.iter().for_each(|id| drop(server.wait(id)));
    let everything = |server: &Server| {
        let shown = ids.iter().map(|id| {
            let events: Vec<_> = server.follow(id, None).map(|event| (event.name, event.data)).collect();
            let tail = server.call("session_logs", json!({ "session_id": id, "tail": 3 }));
            json!([server.info(id), server.wait(id), server.lines(id), tail, format!("{events:?}")])
        });
        json!([shown.collect::<Vec<_>>(), server.call("session_list", json!({}))])
    };
    let before = everything(&server);
    assert!(server.stop().success());
    server.start_again();
    assert!(everything(&server) == before, "after a stop something is different");
    server.kill();
    server.start_again();
    assert!(everything(&server) == before, "after a kill something is different");
    // Beginnings of ids are found in the history, too.
    assert_eq!(server.info(&ids[0][..12])["session_id"], *ids[0]);
}

#[test]
fn a_server_that_is_killed_leaves_its_sessions_interrupted_with_their_lines() {
    let mut server = Setup::new().set("max_sessions", 2).start();
    let ended = server.session(json!({ "module": "hello" }));
    let _ = server.wait(&ended);
    let ticker = server.session(json!({ "module": "ticker", "args": ["100000", "10"] }));
    let spinning = server.session(json!({ "module": "faulty_spin" }));
    let queued = server.session(json!({ "module": "hello" }));
    server.until_on_disk("tick 20");
    server.kill();
    server.start_again();
    assert_eq!(outcome(&server, &ended), "exited");
    for id in [&ticker, &spinning, &queued] {
        assert_eq!(outcome(&server, id), "interrupted", "{id}");
        let info = server.info(id);
        assert_eq!((&info["state"], &info["child_pid"]), (&json!("failed"), &Value::Null));
        assert_eq!(server.wait(id)["success"], false);
    }
    let lines = server.lines(&ticker);
    assert!(lines.len() >= 20, "{}", lines.len());
    for (number, line) in lines.iter().enumerate() {
        assert_eq!((&line["seq"], &line["line"]), (&json!(number), &json!(format!("tick {}", number + 1))));
    }
    assert_eq!(server.info(&ticker)["log_next_seq"], lines.len());
    assert_eq!(server.follow(&ticker, None).last().unwrap().data["outcome"]["kind"], "interrupted");
    // The numbers go on behind those that were given.
    let fresh = server.session(json!({ "module": "hello" }));
    assert_eq!(server.wait(&fresh)["success"], true);
    let list = server.call("session_list", json!({}));
    let order: Vec<&str> =
        list["sessions"].as_array().unwrap().iter().filter_map(|info| info["session_id"].as_str()).collect();
    assert_eq!(order, [&fresh, &queued, &spinning, &ticker, &ended]);
    assert_eq!(server.call("session_list", json!({ "state": "running" }))["sessions"], json!([]));
}

#[test]
fn a_server_that_is_told_to_stop_ends_its_sessions_and_removes_its_socket() {
    let mut server = Setup::new().set("drain_ms", 100).set("grace_ms", 100).set("max_sessions", 1).start();
    let running = server.session(json!({ "module": "ticker", "args": ["100000", "10"] }));
    let queued = server.session(json!({ "module": "hello" }));
    assert!(server.stop().success());
    assert!(!server.socket().exists());
    server.start_again();
    for id in [&running, &queued] {
        assert_eq!(outcome(&server, id), "cancelled", "{id}");
    }
}

#[test]
fn a_server_that_is_told_to_stop_lets_short_sessions_end() {
    let mut server = Setup::new().set("drain_ms", 25_000).start();
    let id = server.session(json!({ "module": "ticker", "args": ["20", "10"] }));
    assert!(server.stop().success());
    server.start_again();
    assert_eq!(server.wait(&id)["success"], true);
    assert_eq!(server.lines(&id).len(), 20);
}

#[test]
fn more_sessions_than_are_kept_go_oldest_first() {
    let mut server = Setup::new().set("history_max_sessions", 10).start();
    // One after the other, so that they end in the order in which they began.
    let one = |_| {
        let id = server.session(json!({ "module": "hello" }));
        let _ = server.wait(&id);
        id
    };
    let ids: Vec<String> = (0..40).map(one).collect();
    let shown = |server: &Server| -> Vec<String> {
        let list = server.call("session_list", json!({ "limit": 1000 }));
        let sessions = list["sessions"].as_array().unwrap();
        sessions.iter().map(|info| info["session_id"].as_str().unwrap().to_owned()).collect()
    };
    // Memory remembers them for a while; the history does not.
    server.stop();
    server.start_again();
    eventually("the oldest are gone", || (shown(&server).len() == 10).then_some(()));
    let newest: Vec<String> = ids.iter().rev().take(10).cloned().collect();
    let mut kept = shown(&server);
    kept.sort();
    let mut expected = newest;
    expected.sort();
    // They ended in about the order in which they began; which of two neighbours is older is not said.
    assert!(kept.iter().filter(|id| expected.contains(id)).count() >= 5, "{kept:?} {expected:?}");
    assert_eq!(server.refusal_name("session_get", json!({ "session_id": ids[0] })), "session_not_found");
}

#[test]
fn the_history_in_all_keeps_its_limit_and_the_newer_logs() {
    let mut server = Setup::new().set("history_total_bytes", 4_000_000).start();
    let ids: Vec<String> = (0..12)
        .map(|_| {
            let id = server.session(json!({ "module": "faulty_flood", "args": ["10000"] }));
            let _ = server.wait(&id);
            id
        })
        .collect();
    server.stop();
    server.start_again();
    let kept = |id: &String| {
        let page = server.call("session_logs", json!({ "session_id": id, "limit": 10_000 }));
        let lines = page["lines"].as_array().unwrap().len();
        assert_eq!(page["gap"].as_u64().unwrap() + lines as u64, 10_000, "what went is counted");
        lines
    };
    let counts: Vec<usize> = eventually("the oldest lines are gone", || {
        let counts: Vec<usize> = ids.iter().map(kept).collect();
        // Lines of 99 bytes.
        (counts.iter().sum::<usize>() * 99 <= 4_000_000).then_some(counts)
    });
    assert!(counts.is_sorted(), "the oldest go first: {counts:?}");
    assert_eq!((counts[0], counts[11]), (0, 10_000));
    assert_eq!(server.wait(&ids[0])["truncated"], true);
}
