//! Processes that are killed or stopped from outside. Beside each fault a canary prints every 10 ms, and has to go on.

use e2e::canary::{Calm, Canary};
use e2e::{Server, Setup, Value, census, eventually, json, signal_to};
use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGSTOP};

fn outcome(server: &Server, session_id: &str) -> Value {
    server.wait(session_id)["outcome"].clone()
}

fn is_stopped(pid: u32) -> bool {
    census::process(pid).is_some_and(|process| process.state == 'T')
}

/// Stops all workers that are parked, so that the next session goes to one that cannot take it.
fn stop_the_parked(server: &Server) -> Vec<u32> {
    let parked = server.parked();
    for pid in &parked {
        signal_to(*pid, SIGSTOP);
    }
    eventually("the parked workers are stopped", || parked.iter().all(|pid| is_stopped(*pid)).then_some(()));
    parked
}

fn ran_once(server: &Server, session_id: &str) {
    assert_eq!(outcome(server, session_id), json!({ "kind": "exited", "code": 0 }));
    assert_eq!(server.lines(session_id).len(), 1);
}

#[test]
fn a_killed_session_is_killed_and_keeps_its_log() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let id = server.session(json!({ "module": "faulty_spin" }));
    server.until_line(&id, "spinning");
    signal_to(server.worker(&id), SIGKILL);
    assert_eq!(outcome(&server, &id), json!({ "kind": "killed", "signal": 9 }));
    assert_eq!(server.lines(&id)[0]["line"], "spinning");
    canary.is_undisturbed();
}

#[test]
fn a_killed_parked_worker_is_replaced() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    for _ in 0..10 {
        for pid in server.parked() {
            signal_to(pid, SIGKILL);
        }
        // Some find that the worker is gone, some hand themselves to it in that moment.
        let ids: Vec<_> = (0..3).map(|_| server.session(json!({ "module": "hello" }))).collect();
        ids.iter().for_each(|id| ran_once(&server, id));
    }
    canary.is_undisturbed();
}

#[test]
fn a_session_whose_worker_dies_before_it_takes_it_runs_on_another_exactly_once() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let stopped = stop_the_parked(&server);
    let large = "x".repeat(300_000) + "\n";
    let started = server.session(json!({ "module": "echo", "stdin": large }));
    assert!(stopped.contains(&server.worker(&started)), "it was handed to a stopped worker");
    for pid in stopped {
        signal_to(pid, SIGKILL);
    }
    let result = server.wait(&started);
    assert_eq!(result["outcome"], json!({ "kind": "exited", "code": 0 }));
    assert_eq!(result["stdout"].as_str().map(str::len), Some(large.len()), "the whole input, once");
    canary.is_undisturbed();
}

#[test]
fn a_killed_zygote_is_replaced_and_its_sessions_are_lost() {
    let server = Setup::new().set("max_sessions", 3).start();
    let calm = Calm::of(&server);
    let zygote = server.zygote_pid();
    let running: Vec<_> = (0..3).map(|_| server.session(json!({ "module": "canary" }))).collect();
    running.iter().for_each(|id| server.until_line(id, "c 1"));
    let queued: Vec<_> = (0..3).map(|_| server.session(json!({ "module": "hello" }))).collect();
    assert_eq!(server.info(&queued[2])["state"], "pending");
    let workers: Vec<_> = running.iter().map(|id| server.worker(id)).collect();

    signal_to(zygote, SIGKILL);
    for id in &running {
        assert_eq!(outcome(&server, id), json!({ "kind": "worker_lost" }));
        assert_eq!(server.lines(id)[0]["line"], "c 1", "its log is kept");
    }
    queued.iter().for_each(|id| ran_once(&server, id));
    assert_ne!(server.zygote_pid(), zygote);
    assert_eq!(server.stats()["zygote_restarts"], 1);
    for pid in workers {
        eventually("the old workers are gone", || census::process(pid).is_none().then_some(()));
    }
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);
    calm.is_back(&server);
}

#[test]
fn an_idle_zygote_that_is_killed_is_replaced() {
    let server = Server::start();
    let calm = Calm::of(&server);
    let parked = server.parked();
    signal_to(server.zygote_pid(), SIGKILL);
    // One that a worker of the old zygote has begun is lost with it; it never runs twice.
    let first = server.session(json!({ "module": "hello" }));
    match outcome(&server, &first)["kind"].as_str() {
        Some("worker_lost") => assert!(server.lines(&first).len() <= 1),
        _ => ran_once(&server, &first),
    }
    let second = server.session(json!({ "module": "hello" }));
    ran_once(&server, &second);
    for pid in parked {
        eventually("the old workers are gone", || census::process(pid).is_none().then_some(()));
    }
    calm.is_back(&server);
}

#[test]
fn a_session_that_had_not_begun_survives_the_zygote() {
    let server = Server::start();
    let calm = Calm::of(&server);
    let stopped = stop_the_parked(&server);
    let id = server.session(json!({ "module": "hello" }));
    assert!(stopped.contains(&server.worker(&id)));
    signal_to(server.zygote_pid(), SIGKILL);
    ran_once(&server, &id);
    calm.is_back(&server);
}

#[test]
fn a_stopped_zygote_is_replaced_when_it_owes_a_worker() {
    let server = Server::start();
    let calm = Calm::of(&server);
    let zygote = server.zygote_pid();
    signal_to(zygote, SIGSTOP);
    // As many as are parked run at once, the others wait for the next zygote.
    let ids: Vec<_> = (0..6).map(|_| server.session(json!({ "module": "hello" }))).collect();
    let outcomes: Vec<_> = ids.iter().map(|id| outcome(&server, id)).collect();
    // The first two ended while nobody could tell how; they are lost, and not run again.
    let exited = outcomes.iter().filter(|outcome| outcome["kind"] == "exited").count();
    let lost = outcomes.iter().filter(|outcome| outcome["kind"] == "worker_lost").count();
    assert_eq!((exited, lost), (4, 2), "{outcomes:?}");
    ids.iter().for_each(|id| assert_eq!(server.lines(id).len(), 1, "each has run exactly once"));
    assert_ne!(server.zygote_pid(), zygote);
    calm.is_back(&server);
}

#[test]
fn a_stopped_zygote_is_replaced_when_it_owes_the_end_of_a_session() {
    let server = Server::start();
    let calm = Calm::of(&server);
    let id = server.session(json!({ "module": "canary" }));
    server.until_line(&id, "c 1");
    // The pool is full again, so nothing else is owed.
    eventually("the pool is full", || (server.parked().len() == 2).then_some(()));
    let zygote = server.zygote_pid();
    signal_to(zygote, SIGSTOP);
    eventually("the zygote is stopped", || is_stopped(zygote).then_some(()));
    signal_to(server.worker(&id), SIGKILL);
    assert_eq!(outcome(&server, &id), json!({ "kind": "worker_lost" }));
    assert_ne!(server.zygote_pid(), zygote);
    calm.is_back(&server);
}

#[test]
fn a_stopped_session_is_stopped_after_its_grace() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let id = server.session(json!({ "module": "faulty_spin" }));
    server.until_line(&id, "spinning");
    signal_to(server.worker(&id), SIGSTOP);
    let stopped = server.call("session_stop", json!({ "session_id": id, "grace_ms": 200 }));
    assert_eq!(stopped, json!({ "ok": true }));
    assert_eq!(outcome(&server, &id), json!({ "kind": "cancelled" }));
    canary.is_undisturbed();
}

#[test]
fn asking_again_to_stop_shortens_the_grace_and_never_lengthens_it() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let id = server.session(json!({ "module": "faulty_spin" }));
    server.until_line(&id, "spinning");
    // It cannot notice SIGTERM.
    signal_to(server.worker(&id), SIGSTOP);
    std::thread::scope(|scope| {
        let hour = json!({ "session_id": id, "grace_ms": 3_600_000 });
        let patient = scope.spawn(|| server.call("session_stop", hour));
        let now = json!({ "session_id": id, "grace_ms": 0 });
        assert_eq!(server.call("session_stop", now), json!({ "ok": true }));
        assert_eq!(patient.join().expect("it returns, too"), json!({ "ok": true }));
    });
    assert_eq!(outcome(&server, &id), json!({ "kind": "cancelled" }));
    canary.is_undisturbed();
}

#[test]
fn a_stopped_session_runs_into_its_time_limit() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let id = server.session(json!({ "module": "canary", "timeout_ms": 1000 }));
    server.until_line(&id, "c 1");
    signal_to(server.worker(&id), SIGSTOP);
    assert_eq!(outcome(&server, &id), json!({ "kind": "timed_out" }));
    canary.is_undisturbed();
}

#[test]
fn a_server_that_was_stopped_for_a_while_goes_on_with_the_same_zygote() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let zygote = server.zygote_pid();
    server.signal(SIGSTOP);
    eventually("the server is stopped", || is_stopped(server.pid()).then_some(()));
    server.signal(SIGCONT);
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);
    assert_eq!(server.zygote_pid(), zygote);
    canary.is_undisturbed();
}

#[test]
fn a_killed_template_takes_its_own_sessions_with_it_and_no_other() {
    let server = Setup::new().compiling().start();
    // Another module, so that it stays on the zygote's own workers.
    let other = server.session(json!({ "module": "faulty_spin" }));
    let first = server.run(json!({ "module": "canary", "args": ["1"] }));
    assert_eq!(first["success"], true);
    let _ = server.until_compiled("canary");
    let is_template =
        |process: &census::Process| census::title(process.pid) == "hero_runner: template canary";
    let template = eventually("there is a template, and a session runs in it", || {
        // Each use counts, and one after the template has been made runs in it.
        assert_eq!(server.run(json!({ "module": "canary", "args": ["1"] }))["success"], true);
        census::children(server.zygote_pid()).into_iter().find(is_template)
    });
    let inside = eventually("a session runs in the template", || {
        let id = server.session(json!({ "module": "canary" }));
        server.until_line(&id, "c 1");
        if census::process(server.worker(&id))?.parent == template.pid {
            return Some(id);
        }
        let _ = server.call("session_stop", json!({ "session_id": id, "grace_ms": 0 }));
        None
    });
    signal_to(template.pid, SIGKILL);
    assert_eq!(outcome(&server, &inside), json!({ "kind": "worker_lost" }));
    assert_eq!(server.info(&other)["state"], "running");
    assert_eq!(server.stats()["zygote_restarts"], 0);
    let after = server.run(json!({ "module": "canary", "args": ["3"] }));
    assert_eq!(after["stdout"], "c 1\nc 2\nc 3\n");
    let _ = server.call("session_stop", json!({ "session_id": other, "grace_ms": 0 }));
    eventually("no zombie is left", || census::zombies(server.pid()).is_empty().then_some(()));
}
