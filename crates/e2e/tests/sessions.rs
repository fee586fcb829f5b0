//! The life of a session as the API shows it: waiting, stopping, its process.

use std::collections::BTreeSet;

use e2e::{Server, Setup, Value, census, eventually, json};

fn until(server: &Server, id: &str, state: &str) -> Value {
    eventually("the session is in its state", || {
        let info = server.info(id);
        (info["state"] == state).then_some(info)
    })
}

/// A session that runs until it is stopped.
fn endless(server: &Server) -> String {
    server.session(json!({ "module": "ticker", "args": ["1000000", "20"] }))
}

#[test]
fn while_it_runs_there_is_no_result_and_a_wait_runs_out() {
    let server = Server::start();
    let id = endless(&server);
    let _ = until(&server, &id, "running");
    assert_eq!(server.call("session_result", json!({ "session_id": id })), Value::Null);
    assert_eq!(server.call("session_wait", json!({ "session_id": id, "wait_ms": 50 })), Value::Null);
    assert_eq!(server.call("session_wait", json!({ "session_id": id, "wait_ms": 0 })), Value::Null);
}

#[test]
fn after_the_end_result_and_wait_say_the_same() {
    let server = Server::start();
    let id = server.session(json!({ "module": "hello" }));
    let waited = server.wait(&id);
    assert_eq!(server.call("session_result", json!({ "session_id": id })), waited);
    assert_eq!(server.wait(&id), waited);
}

#[test]
fn the_process_of_a_session_is_the_zygotes_child_and_carries_its_id() {
    let server = Server::start();
    let id = server.session(json!({ "module": "ticker" }));
    let info = eventually("the session has a process", || {
        Some(server.info(&id)).filter(|info| info["child_pid"].is_u64())
    });
    let pid = u32::try_from(info["child_pid"].as_u64().unwrap()).unwrap();
    assert_ne!(pid, server.pid());
    assert_eq!(info["state"], "running");
    assert_eq!(census::process(pid).unwrap().parent, server.zygote_pid());
    eventually("its title has its id", || census::title(pid).contains(&id).then_some(()));
    assert_eq!(census::status(pid, "NoNewPrivs").as_deref(), Some("1"));
    let _ = server.call("session_stop", json!({ "session_id": id, "grace_ms": 0 }));
    eventually("its process is gone", || census::process(pid).is_none().then_some(()));
    assert_eq!(server.info(&id)["child_pid"], Value::Null);
}

#[test]
fn a_worker_has_only_its_own_descriptors_open() {
    let server = Server::start();
    // Two, so that the ends of the other's pipes could show.
    let pipes = [(); 2].map(|()| {
        let id = endless(&server);
        let pid = u32::try_from(until(&server, &id, "running")["child_pid"].as_u64().unwrap()).unwrap();
        eventually("the guest prints", || (!server.lines(&id).is_empty()).then_some(()));
        let open: Vec<String> =
            census::open_files(pid).iter().map(|(_, to)| to.to_string_lossy().into_owned()).collect();
        // The module's file, what the engine waits with, and the socket that the session came by.
        let others: Vec<&String> = open
            .iter()
            .filter(|to| !to.starts_with("pipe:") && !to.starts_with("anon_inode:") && !to.ends_with(".wasm"))
            .collect();
        assert!(others.len() == 1 && others[0].starts_with("socket:"), "{open:#?}");
        let pipes: BTreeSet<String> = open.into_iter().filter(|to| to.starts_with("pipe:")).collect();
        // Standard input, what the process itself prints, frames.
        assert_eq!(pipes.len(), 3, "{pipes:?}");
        pipes
    });
    assert!(pipes[0].is_disjoint(&pipes[1]), "{pipes:?}");
}

#[test]
fn the_zygote_has_one_thread_and_no_worker_is_left_a_zombie() {
    let server = Server::start();
    for _ in 0..20 {
        let _ = server.run(json!({ "module": "hello" }));
    }
    assert_eq!(census::threads(server.zygote_pid()).len(), 1);
    eventually("the dead are reaped", || census::zombies(server.pid()).is_empty().then_some(()));
}

#[test]
fn two_hundred_sessions_leave_no_descriptor_and_no_process_behind() {
    let server = Setup::new().set("max_sessions", 8).start();
    let counts = || {
        let fds = census::open_files(server.pid()).len();
        (fds, census::open_files(server.zygote_pid()).len())
    };
    // The first ones open what stays open: the module's file, the pool of workers at its largest.
    for ids in 0..2 {
        let ids: Vec<String> = (ids..40).map(|_| server.session(json!({ "module": "hello" }))).collect();
        ids.iter().for_each(|id| assert_eq!(server.wait(id)["success"], true));
    }
    let parked = || server.stats()["parked"].as_u64().unwrap();
    let spares = eventually("the pool is at rest", || Some(parked()).filter(|count| *count >= 2));
    let before = counts();
    for _ in 0..5 {
        let ids: Vec<String> = (0..40).map(|_| server.session(json!({ "module": "hello" }))).collect();
        ids.iter().for_each(|id| assert_eq!(server.wait(id)["success"], true));
    }
    eventually("descriptors are as before", || {
        // A spare worker more or less has its pipes.
        let (server_fds, zygote_fds) = counts();
        let more = usize::try_from(parked().saturating_sub(spares)).unwrap() * 4;
        (server_fds <= before.0 + more + 2 && zygote_fds <= before.1 + 2).then_some(())
    });
    eventually("only zygote and spares are there", || {
        (server.tree().len() as u64 == parked() + 1).then_some(())
    });
}

#[test]
fn a_running_session_is_stopped() {
    let server = Server::start();
    let id = endless(&server);
    eventually("the guest prints", || (!server.lines(&id).is_empty()).then_some(()));
    assert_eq!(server.call("session_stop", json!({ "session_id": id })), json!({ "ok": true }));
    let info = server.info(&id);
    assert_eq!(info["state"], "cancelled");
    assert_eq!(info["outcome"], json!({ "kind": "cancelled" }));
    assert!(info["ended_at"].is_u64() && info["ready"] == false, "{info:#}");
    assert!(server.wait(&id)["stdout"].as_str().unwrap().starts_with("tick 1\n"));
}

#[test]
fn a_guest_that_spins_is_stopped_too() {
    let server = Server::start();
    let id = server.session(json!({ "module": "faulty_spin" }));
    eventually("the guest prints", || (!server.lines(&id).is_empty()).then_some(()));
    let _ = server.call("session_stop", json!({ "session_id": id, "grace_ms": 100 }));
    assert_eq!(server.wait(&id)["outcome"]["kind"], "cancelled");
}

#[test]
fn a_session_that_waits_is_stopped_before_it_runs() {
    let server = Setup::new().set("max_sessions", 1).start();
    let first = endless(&server);
    let queued = server.session(json!({ "module": "hello" }));
    let last = server.session(json!({ "module": "hello" }));
    assert_eq!(server.info(&queued)["state"], "pending");
    assert_eq!(server.stats()["queued"], 2);
    let _ = server.call("session_stop", json!({ "session_id": queued }));
    let info = server.info(&queued);
    assert_eq!((&info["state"], &info["started_at"]), (&json!("cancelled"), &Value::Null));
    let result = server.wait(&queued);
    assert_eq!((&result["outcome"]["kind"], &result["stdout"]), (&json!("cancelled"), &json!("")));
    let _ = server.call("session_stop", json!({ "session_id": first }));
    assert_eq!(server.wait(&last)["stdout"], "hello, world\n", "who waits behind it runs");
}

#[test]
fn stopping_what_has_ended_changes_nothing() {
    let server = Server::start();
    let id = server.session(json!({ "module": "faulty_exit7" }));
    let result = server.wait(&id);
    assert_eq!(server.call("session_stop", json!({ "session_id": id })), json!({ "ok": true }));
    assert_eq!(server.wait(&id), result);
    assert_eq!(server.info(&id)["state"], "failed");
}

#[test]
fn a_full_queue_refuses_and_says_that_a_retry_can_help() {
    let server = Setup::new().set("max_sessions", 1).set("max_queue", 2).start();
    let first = endless(&server);
    let waiting = [(); 2].map(|()| server.session(json!({ "module": "hello" })));
    for _ in 0..3 {
        let refusal = server.refusal("session_start", json!({ "module": "hello" }));
        assert_eq!(refusal["data"]["code_name"], "queue_full");
        assert_eq!(refusal["data"]["retryable"], true);
    }
    let stats = server.stats();
    assert_eq!((&stats["rejected_total"], &stats["queued"]), (&json!(3), &json!(2)));
    assert_eq!(server.call("session_list", json!({}))["sessions"].as_array().unwrap().len(), 3);
    let _ = server.call("session_stop", json!({ "session_id": first }));
    waiting.iter().for_each(|id| assert_eq!(server.wait(id)["success"], true));
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);
}

#[test]
fn never_more_than_max_sessions_run_at_once() {
    let server = Setup::new().set("max_sessions", 3).start();
    let ids: Vec<String> =
        (0..12).map(|_| server.session(json!({ "module": "ticker", "args": ["3", "30"] }))).collect();
    let mut most = 0;
    eventually("all have ended", || {
        most = most.max(server.stats()["running"].as_u64().unwrap());
        let list = server.call("session_list", json!({ "state": "succeeded" }));
        (list["sessions"].as_array().unwrap().len() == ids.len()).then_some(())
    });
    assert!(most <= 3, "{most} ran at once");
}

#[test]
fn ids_that_nobody_has_are_refused_by_every_method() {
    let server = Server::start();
    let known = server.session(json!({ "module": "hello" }));
    let _ = server.wait(&known);
    for id in ["", "ses-", "ses-000000000000", "nothing", "'; DROP TABLE sessions", &"x".repeat(10_000)] {
        for method in ["get", "stop", "logs", "result", "wait", "stdin"] {
            let refusal = server.refusal_name(&format!("session_{method}"), json!({ "session_id": id }));
            assert_eq!(refusal, "session_not_found", "{method} {id}");
        }
    }
}

#[test]
fn the_beginning_of_an_id_is_enough_when_only_one_session_has_it() {
    let server = Server::start();
    let id = server.session(json!({ "module": "hello" }));
    let _ = server.wait(&id);
    let beginning = &id[..id.len() - 4];
    assert_eq!(server.info(beginning)["session_id"], id);
    assert_eq!(server.wait(beginning)["stdout"], "hello, world\n");
    let lines = server.lines(beginning);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let other = server.session(json!({ "module": "hello" }));
    assert_eq!(server.refusal_name("session_get", json!({ "session_id": "ses-" })), "session_not_found");
    assert_eq!(server.info(&other[..other.len() - 2])["session_id"], other);
}
