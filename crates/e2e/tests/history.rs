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
    // The first lines are on the disk when memory has many more.
    eventually("the ticker ticks", || (server.lines(&ticker).len() >= 60).then_some(()));
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
    assert!(lines.len() >= 10, "{}", lines.len());
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
    let server = Setup::new().set("history_max_sessions", 10).start();
    let ids: Vec<String> = (0..40)
        .map(|_| {
            let id = server.session(json!({ "module": "hello" }));
            let _ = server.wait(&id);
            id
        })
        .collect();
    let kept = eventually("old ones are gone", || {
        // Each commit takes a few.
        let _ = server.run(json!({ "module": "hello" }));
        let list = server.call("session_list", json!({ "limit": 1000 }));
        let sessions = list["sessions"].as_array().unwrap();
        let old = sessions.iter().filter(|info| ids.iter().any(|id| info["session_id"] == *id)).count();
        (old == 0).then_some(sessions.len())
    });
    assert!((1..=12).contains(&kept), "{kept}");
    assert_eq!(server.refusal_name("session_get", json!({ "session_id": ids[0] })), "session_not_found");
}

#[test]
fn the_history_in_all_keeps_its_limit_and_newer_logs() {
    let server = Setup::new().set("history_total_bytes", 4_000_000).set("ring_lines", 16).start();
    let ids: Vec<String> =
        (0..12).map(|_| server.session(json!({ "module": "faulty_flood", "args": ["10000"] }))).collect();
    ids.iter().for_each(|id| drop(server.wait(id)));
    let newest = ids.last().unwrap();
    eventually("the oldest lines are gone", || {
        let _ = server.run(json!({ "module": "hello" }));
        (server.stats()["history_bytes"].as_u64().unwrap() <= 4_500_000).then_some(())
    });
    let page = server.call("session_logs", json!({ "session_id": newest, "tail": 1 }));
    assert_eq!(page["lines"][0]["seq"], 9999);
    assert!(server.stats()["log_dropped_total"].as_u64().unwrap() > 0);
}
