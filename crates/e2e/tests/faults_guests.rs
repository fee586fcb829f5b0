//! Guests that spin, recurse, eat memory, flood, trap and fail. Beside each a canary prints every 10 ms, and has to go on.

use std::io::Read;

use e2e::canary::Canary;
use e2e::{Server, Setup, Value, census, eventually, json};

/// What a server may grow by, whatever a guest prints, in KiB.
const GROWTH_KB: u64 = 150 << 10;

/// Runs a guest beside a canary and returns its result, interpreted first and then compiled.
fn beside_a_canary(request: &Value, check: impl Fn(&Server, &Value)) {
    let interpreting = Server::start();
    let mut canary = Canary::start(&interpreting);
    check(&interpreting, &interpreting.run(request.clone()));
    canary.is_undisturbed();

    let compiling = Setup::new().compiling().start();
    for name in ["canary", request["module"].as_str().unwrap_or_default()] {
        // The first use of a module is what has it compiled.
        let _ = compiling.run(json!({ "module": name, "timeout_ms": 1 }));
        let _ = compiling.until_compiled(name);
    }
    let mut canary = Canary::start(&compiling);
    let id = compiling.session(request.clone());
    assert_eq!(compiling.info(&id)["mode"], "compiled");
    check(&compiling, &compiling.wait(&id));
    canary.is_undisturbed();
}

#[test]
fn a_guest_that_spins_runs_into_its_time_limit_and_leaves_no_process_behind() {
    beside_a_canary(&json!({ "module": "faulty_spin", "timeout_ms": 500 }), |server, result| {
        assert_eq!(result["outcome"], json!({ "kind": "timed_out" }));
        assert_eq!(result["stdout"], "spinning\n");
        let zygote = server.zygote_pid();
        eventually("nothing spins", || {
            let busy = census::children(zygote).into_iter().any(|worker| worker.state == 'R');
            (!busy).then_some(())
        });
    });
}

#[test]
fn a_guest_that_recurses_for_ever_ends_alone() {
    beside_a_canary(&json!({ "module": "faulty_deep_recursion" }), |_, result| {
        let outcome = &result["outcome"];
        // Compiled code runs on the process's own stack; an interpreter's is on the heap, which has a limit.
        let expected = outcome["kind"] == "trapped"
            || outcome["kind"] == "memory_limit"
            || *outcome == json!({ "kind": "killed", "signal": 11 });
        assert!(expected, "{result:#}");
        assert_eq!(result["stdout"], "recursing\n");
    });
}

#[test]
fn a_guest_that_eats_memory_reaches_its_limit() {
    beside_a_canary(&json!({ "module": "faulty_oom", "memory_limit_mb": 40 }), |_, result| {
        assert_eq!(result["outcome"], json!({ "kind": "memory_limit" }));
        let resident = result["max_rss_kb"].as_u64().unwrap_or(u64::MAX);
        assert!(resident < 200 << 10, "{resident} KiB");
    });
}

#[test]
fn a_guest_that_traps_says_how() {
    beside_a_canary(&json!({ "module": "faulty_trap" }), |_, result| {
        assert_eq!(result["outcome"]["kind"], "trapped");
        assert_eq!(result["outcome"]["trap"], "unreachable");
    });
}

#[test]
fn a_guest_that_exits_with_7_did() {
    beside_a_canary(&json!({ "module": "faulty_exit7" }), |_, result| {
        assert_eq!(result["outcome"], json!({ "kind": "exited", "code": 7 }));
        assert_eq!((&result["success"], &result["exit_code"]), (&json!(false), &json!(7)));
    });
}

fn floods_in_flat_memory(args: &[&str]) {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let before = census::resident_kb(server.pid()).expect("the server runs");
    let id = server.session(json!({ "module": "faulty_flood", "args": args, "timeout_ms": 4000 }));
    let mut most = 0;
    eventually("it runs into its time limit, however much it prints", || {
        most = most.max(census::resident_kb(server.pid())?);
        (server.info(&id)["state"] != "running").then_some(())
    });
    assert_eq!(server.wait(&id)["outcome"], json!({ "kind": "timed_out" }));
    let grown = most.saturating_sub(before);
    assert!(grown < GROWTH_KB, "the server grew by {grown} KiB");
    assert!(server.info(&id)["log_next_seq"].as_u64() > Some(0));
    canary.is_undisturbed();
}

#[test]
fn a_flood_of_lines_that_nobody_reads_leaves_the_servers_memory_flat() {
    floods_in_flat_memory(&[]);
}

#[test]
fn a_flood_without_a_newline_leaves_the_servers_memory_flat() {
    floods_in_flat_memory(&["--no-newline"]);
}

#[test]
fn ended_sessions_keep_their_lines_in_flat_memory() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let flood = json!({ "module": "faulty_flood", "args": ["15000"] });
    assert_eq!(server.run(flood.clone())["success"], true);
    let before = census::resident_kb(server.pid()).expect("the server runs");
    // 200 times 1.5 MB of lines.
    let ids: Vec<_> = (0..200).map(|_| server.session(flood.clone())).collect();
    for id in &ids {
        assert_eq!(server.wait(id)["success"], true);
        assert_eq!(server.info(id)["log_next_seq"], 15_000);
    }
    let grown = census::resident_kb(server.pid()).unwrap_or(u64::MAX).saturating_sub(before);
    assert!(grown < GROWTH_KB, "the server grew by {grown} KiB");
    let first = server.call("session_logs", json!({ "session_id": ids[0], "limit": 1 }));
    assert_eq!(first["lines"][0]["line"].as_str().map(|line| &line[..12]), Some("000000000001"));
    canary.is_undisturbed();
}

#[test]
fn a_flood_can_be_stopped() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let id = server.session(json!({ "module": "faulty_flood" }));
    eventually("it floods", || (server.info(&id)["log_next_seq"].as_u64()? > 1000).then_some(()));
    assert_eq!(server.call("session_stop", json!({ "session_id": id })), json!({ "ok": true }));
    assert_eq!(server.wait(&id)["outcome"], json!({ "kind": "cancelled" }));
    canary.is_undisturbed();
}

#[test]
fn a_reader_that_does_not_read_holds_up_nobody_and_misses_nothing() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let id = server.session(json!({ "module": "faulty_flood", "args": ["50000"] }));
    let mut slow = server.get(&format!("/sse/session/{id}"));
    assert_eq!(slow.status, 200);
    // Its socket takes some hundred kB of the 5 MB; the guest comes to its end all the same.
    assert_eq!(server.wait(&id)["success"], true);
    assert_eq!(server.follow(&id, None).filter(|event| event.is_line()).count(), 50_000);
    canary.sings();
    let mut all = String::new();
    slow.read_to_string(&mut all).expect("it reads on where it was");
    drop(slow);
    assert_eq!(all.matches("event: stdout\n").count(), 50_000);
    assert_eq!(all.matches("event: gap\n").count(), 0);
    canary.is_undisturbed();
}
