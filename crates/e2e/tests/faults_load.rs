//! More than there is room for: descriptors, places in the queue, clients that come at once and clients that go.

use std::collections::HashSet;
use std::process::Command;
use std::sync::Mutex;

use e2e::canary::{Calm, Canary};
use e2e::{Server, Setup, census, eventually, json};

/// Sets the soft limit of open files of a running process.
fn limit_files(pid: u32, limit: usize) {
    let limit = format!("--nofile={limit}:");
    let status = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status();
    assert!(status.expect("prlimit(1) of util-linux").success());
}

#[test]
fn sessions_wait_while_no_descriptor_is_left_and_run_when_there_is() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let open = census::open_files(server.pid()).len();
    let numbers = census::open_files(server.pid()).last().map_or(0, |(fd, _)| *fd as usize);
    limit_files(server.pid(), numbers.max(open) + 13);

    // Each takes three descriptors: not all of them can run at once.
    let mut ids = Vec::new();
    let mut refused = 0;
    for _ in 0..16 {
        let reply = server.post_when_possible(&json!({
            "jsonrpc": "2.0", "id": 1, "method": "session_start",
            "params": { "module": "canary", "args": ["50"] },
        }));
        match reply["result"]["session_id"].as_str() {
            Some(id) => ids.push(id.to_owned()),
            None => {
                assert_eq!(reply["error"]["data"]["code_name"], "resource_exhausted", "{reply:#}");
                assert_eq!(reply["error"]["data"]["retryable"], true, "{reply:#}");
                refused += 1;
            }
        }
    }
    assert_eq!(ids.len() + refused, 16);
    for id in &ids {
        eventually("it runs to its end", || {
            let info = server.post_when_possible(&json!({
                "jsonrpc": "2.0", "id": 1, "method": "session_get", "params": { "session_id": id },
            }));
            (info["result"]["state"] == "succeeded").then_some(())
        });
    }
    limit_files(server.pid(), 4096);
    for id in &ids {
        assert_eq!(server.lines(id).len(), 50);
    }
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);
    assert_eq!(server.stats()["zygote_restarts"], 0);
    canary.is_undisturbed();
}

#[test]
fn a_zygote_without_descriptors_is_asked_again_and_nothing_is_lost() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let zygote = server.zygote_pid();
    // Room for some of the four descriptors of a worker and not for all.
    let used = census::open_files(zygote).len();
    limit_files(zygote, used + 2);
    let ids: Vec<_> = (0..4).map(|_| server.session(json!({ "module": "hello" }))).collect();
    eventually("the failure is seen", || server.log().contains("the zygote cannot fork").then_some(()));
    limit_files(zygote, 128);
    for id in &ids {
        assert_eq!(server.wait(id)["success"], true);
    }
    assert_eq!(server.zygote_pid(), zygote);
    canary.is_undisturbed();
}

#[test]
fn a_server_that_may_open_few_files_from_its_start_runs_sessions() {
    let folder = e2e::Folder::new();
    let setup = Setup::new();
    let plain = setup.command("hero_runner_server", folder.path());
    let mut limited = Command::new("prlimit");
    limited.arg("--nofile=64:64").arg(plain.get_program()).current_dir(folder.path()).env_clear();
    limited.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = limited.spawn().expect("prlimit(1) of util-linux");
    let socket = folder.path().join("s/hero_runner/rpc.sock");
    let call = |method: &str, params: &e2e::Value| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let headers = [("content-type", "application/json")];
        let request =
            e2e::http::Request { method: "POST", path: "/rpc", headers: &headers, body: body.as_bytes() };
        request
            .send(&socket, e2e::patience())
            .ok()
            .filter(|reply| reply.status == 200)
            .map(|reply| reply.json())
    };
    eventually("it answers", || call("health", &json!({})));
    let mut ids: Vec<String> = Vec::new();
    while ids.len() < 40 {
        // A refusal says that it is worth another try.
        let Some(reply) = call("session_start", &json!({ "module": "hello" })) else { continue };
        match reply["result"]["session_id"].as_str() {
            Some(id) => ids.push(id.to_owned()),
            None => assert_eq!(reply["error"]["data"]["retryable"], true, "{reply:#}"),
        }
    }
    for id in ids {
        eventually("it runs", || {
            let info = call("session_get", &json!({ "session_id": id }))?;
            (info["result"]["state"] == "succeeded").then_some(())
        });
    }
    let _ = child.kill();
    let _ = child.wait();
    eventually("nothing is left", || census::living_in(folder.path()).is_empty().then_some(()));
}

#[test]
fn a_full_queue_refuses_and_says_that_a_retry_is_worth_it() {
    let server = Setup::new().set("max_sessions", 2).set("max_queue", 3).start();
    let mut canary = Canary::start(&server);
    let running = server.session(json!({ "module": "canary" }));
    server.until_line(&running, "c 1");
    let queued: Vec<_> = (0..3).map(|_| server.session(json!({ "module": "hello" }))).collect();
    let refusal = server.refusal("session_start", json!({ "module": "hello" }));
    assert_eq!(refusal["data"]["code_name"], "queue_full");
    assert_eq!(refusal["data"]["retryable"], true);
    // One that is stopped before it began frees its place.
    let _ = server.call("session_stop", json!({ "session_id": queued[0] }));
    assert_eq!(server.wait(&queued[0])["outcome"], json!({ "kind": "cancelled" }));
    let late = server.session(json!({ "module": "hello" }));
    let _ = server.call("session_stop", json!({ "session_id": running, "grace_ms": 0 }));
    for id in queued[1..].iter().chain([&late]) {
        assert_eq!(server.wait(id)["success"], true);
        assert_eq!(server.lines(id).len(), 1);
    }
    assert_eq!(server.stats()["rejected_total"], 1);
    canary.is_undisturbed();
}

#[test]
fn of_two_thousand_sessions_at_once_none_is_lost_and_none_runs_twice() {
    const CLIENTS: usize = 16;
    const EACH: usize = 125;
    let server = Setup::new().set("max_sessions", 32).start();
    let mut canary = Canary::start(&server);
    let ids = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let id = server.session(json!({ "module": "hello" }));
                    ids.lock().expect("no client has failed").push(id);
                }
            });
        }
    });
    canary.sings();
    let ids = ids.into_inner().expect("no client has failed");
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), CLIENTS * EACH);
    for id in &ids {
        assert_eq!(server.wait(id)["stdout"], "hello, world\n");
        assert_eq!(server.lines(id).len(), 1, "it ran once");
    }
    let stats = server.stats();
    assert_eq!(stats["outcomes"], json!({ "exited": CLIENTS * EACH }));
    assert_eq!(stats["sessions_total"], CLIENTS * EACH + 1);
    canary.is_undisturbed();
}

#[test]
fn clients_that_leave_in_the_middle_of_a_stream_leave_nothing_behind() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    // This one prints nothing, so nothing that is written to its followers could fail.
    let silent = server.session(json!({ "module": "faulty_spin" }));
    server.until_line(&silent, "spinning");
    let calm = Calm::of(&server);
    for _ in 0..5 {
        let mut followers = Vec::new();
        for id in [&silent, &canary.id] {
            for _ in 0..10 {
                let mut events = server.follow(id, None);
                assert!(events.next().is_some());
                followers.push(events);
            }
        }
        canary.sings();
    }
    calm.is_back(&server);
    let _ = server.call("session_stop", json!({ "session_id": silent, "grace_ms": 0 }));
    canary.is_undisturbed();
}

/// How the kernel schedules a process: 0 is the usual way, 5 is only when nothing else wants the processor.
fn policy(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let (_, fields) = stat.rsplit_once(") ").expect("as in proc(5)");
    fields.split(' ').nth(41 - 3).and_then(|text| text.parse().ok()).expect("as in proc(5)")
}

#[test]
fn a_session_that_computes_gives_way_and_one_that_waits_does_not() {
    let server = Server::start();
    let spinning = server.session(json!({ "module": "faulty_spin" }));
    let waiting = server.session(json!({ "module": "echo", "stdin_open": true }));
    eventually("it has stepped back", || (policy(server.worker(&spinning)) == 5).then_some(()));
    assert_eq!(policy(server.worker(&waiting)), 0);
    let _ = server.call("session_stop", json!({ "session_id": spinning, "grace_ms": 0 }));
    let never = Setup::new().set("session_yield_ms", 0).start();
    let spinning = never.session(json!({ "module": "faulty_spin" }));
    let pid = never.worker(&spinning);
    eventually("it has computed for a while", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(") ")?;
        // User time in ticks of 10 ms.
        (fields.split(' ').nth(14 - 3)?.parse::<u32>().ok()? >= 10).then_some(())
    });
    assert_eq!(policy(pid), 0);
}
