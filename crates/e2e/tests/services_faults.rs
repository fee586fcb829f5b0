//! What is done to services from outside: processes that hang, zygotes that die, orders that come at once.

use std::io::{Read, Write};

use e2e::canary::Calm;
use e2e::http::read_head;
use e2e::services::{get, spec};
use e2e::{Server, Setup, Value, census, eventually, json, patience, signal_to};
use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGSTOP, SIGTERM};

fn pid(service: &Value) -> u32 {
    service["instances"][0]["pid"].as_u64().expect("it has a process") as u32
}

fn hello(more: Value) -> (&'static str, Value) {
    let mut rest = json!({ "module": "hello" });
    for (key, value) in more.as_object().into_iter().flatten() {
        rest[key] = value.clone();
    }
    ("hello", spec("hello", rest))
}

#[test]
fn one_that_hangs_is_found_out_by_its_probes() {
    let health = json!({ "interval_secs": 1, "timeout_ms": 200, "failures": 2 });
    let server = Setup::with_services(&[hello(json!({ "health": health }))]).start();
    let service = server.until_service("hello", "ready");
    let session = server.service_session("hello");
    signal_to(pid(&service), SIGSTOP);
    let unhealthy = server.until_service("hello", "unhealthy");
    assert!(unhealthy["reason"].as_str().unwrap().contains("no answer in 200 ms"), "{unhealthy:#}");
    assert_eq!(unhealthy["last_probe"]["ok"], false);
    // A bad probe alone is no reason to start it again.
    signal_to(pid(&service), SIGCONT);
    server.until_service("hello", "ready");
    assert_eq!(
        (server.service("hello")["restarts"].clone(), server.service_session("hello")),
        (json!(0), session.clone())
    );
    signal_to(pid(&service), SIGSTOP);
    let back = server.until_other("hello", &session);
    assert_eq!(back["restarts"], 1);
    let detail = server.service_detail("hello");
    let end = detail["ends"][0]["reason"].as_str().unwrap();
    assert!(end.contains("2 bad probes in a row"), "{detail:#}");
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    assert!(census::process(pid(&service)).is_none(), "the one that hung is gone");
}

#[test]
fn services_survive_the_zygotes_that_they_came_from() {
    let services = [
        hello(json!({})),
        ("relay", spec("relay", json!({ "module": "relay", "permissions": { "net": true } }))),
    ];
    let server = Setup::with_services(&services).start();
    let address = server.until_service("hello", "ready")["address"].clone();
    server.until_service("relay", "ready");
    for _ in 0..2 {
        let sessions = ["hello", "relay"].map(|name| server.service_session(name));
        let zygotes =
            ["hello", "relay"].map(|name| census::process(pid(&server.service(name))).unwrap().parent);
        assert_ne!(zygotes[0], zygotes[1]);
        zygotes.iter().for_each(|zygote| signal_to(*zygote, SIGKILL));
        for (name, session) in ["hello", "relay"].into_iter().zip(&sessions) {
            server.until_other(name, session);
            assert_eq!(server.wait(session)["outcome"], json!({ "kind": "worker_lost" }), "{name}");
        }
        assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
        assert_eq!(server.text_via("/relay/health"), "OK");
    }
    assert_eq!(server.service("hello")["address"], address);
}

#[test]
fn orders_that_come_at_once_leave_one_service_in_the_end() {
    let server = Setup::with_services(&[hello(json!({}))]).start();
    server.until_service("hello", "ready");
    std::thread::scope(|scope| {
        for n in 0..4_usize {
            let server = &server;
            scope.spawn(move || {
                for round in 0..8 {
                    let method = ["service_restart", "service_stop", "service_start", "service_reload"]
                        [(n + round) % 4];
                    if method == "service_reload" {
                        server.declare(
                            &format!("other{n}"),
                            spec(&format!("o{n}"), json!({ "module": "hello", "enabled": false })),
                        );
                    }
                    // A stop may come in the middle of a restart: then that says so. None is left without an answer.
                    let reply = server.rpc(method, json!({ "name": "hello" }));
                    let code = &reply["error"]["data"]["code_name"];
                    assert!(code.is_null() || code == "service_failed", "{method}: {reply:#}");
                }
            });
        }
    });
    server.order("service_start", "hello");
    server.until_service("hello", "ready");
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    eventually("one process is left", || (server.running_of("hello").len() == 1).then_some(()));
    assert_eq!(server.service("hello")["instances"].as_array().map(Vec::len), Some(1));
    let sockets = std::fs::read_dir(server.state_dir().join("run")).unwrap().count();
    assert_eq!(sockets, 1, "one process, one socket");
    assert!(census::zombies(server.pid()).is_empty());
}

#[test]
fn deploys_removals_and_orders_at_once_leave_what_came_last() {
    let server = Setup::with_services(&[hello(json!({}))]).start();
    server.until_service("hello", "ready");
    let good = |n: usize| hello(json!({ "env": { "N": n.to_string() } })).1;
    let bad = hello(json!({ "module": "crashy", "env": { "CRASH": "at_once" } })).1;
    server.put_guest("crashy", "crashy");
    let _ = server.call("service_reload", json!({}));
    std::thread::scope(|scope| {
        for n in 0..4_usize {
            let (server, good, bad) = (&server, &good, &bad);
            scope.spawn(move || {
                for round in 0..7 {
                    let named = json!({ "name": "hello" });
                    let (method, params) = match (n * 3 + round) % 7 {
                        0 => ("service_deploy", json!({ "name": "hello", "spec": good(round) })),
                        1 => ("service_restart", named),
                        2 => ("service_deploy", json!({ "name": "hello", "spec": bad })),
                        3 => ("service_remove", named),
                        4 => ("service_reload", json!({})),
                        5 => ("service_stop", named),
                        _ => ("service_start", named),
                    };
                    let reply = server.rpc(method, params);
                    let code = reply["error"]["data"]["code_name"].as_str().unwrap_or_default();
                    let told = ["", "service_failed", "service_not_found"];
                    assert!(told.contains(&code), "{method}: {reply:#}");
                }
            });
        }
    });
    let detail = server.call("service_deploy", json!({ "name": "hello", "spec": good(99) }));
    assert_eq!(detail["service"]["state"], "ready", "{detail:#}");
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    eventually("one process is left", || (server.running_of("hello").len() == 1).then_some(()));
    let sockets = std::fs::read_dir(server.state_dir().join("run")).unwrap().count();
    assert_eq!(sockets, 1, "one process, one socket");
    let folder: Vec<_> = std::fs::read_dir(server.services_dir().join("hello/config")).unwrap().collect();
    assert_eq!(folder.len(), 1, "nothing half-written is left: {folder:?}");
    let written = std::fs::read_to_string(server.services_dir().join("hello/config/service.json")).unwrap();
    assert!(written.contains("\"99\""), "{written}");
    assert!(census::zombies(server.pid()).is_empty() && server.problems().is_empty());
}

#[test]
fn restarts_and_ends_leave_nothing_behind() {
    let restart = json!({ "intensity": 1000, "backoff": { "max_ms": 100 } });
    // A pool that does not grow: it would take seconds to shrink again.
    let server = Setup::with_services(&[hello(json!({ "restart": restart }))]).set("spare_max", 2).start();
    server.until_service("hello", "ready");
    // What is made once was made by the first of each.
    let disturb = || {
        server.order("service_restart", "hello");
        let session = server.service_session("hello");
        signal_to(pid(&server.service("hello")), SIGKILL);
        server.until_other("hello", &session);
        let session = server.service_session("hello");
        let _ = server.call("session_stop", json!({ "session_id": session, "grace_ms": 0 }));
        server.until_other("hello", &session);
        assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    };
    let open = || {
        // Beside what the pool keeps: a server that has come to rest.
        let _ = Calm::of(&server);
        census::open_files(server.pid()).len()
    };
    disturb();
    let before = open();
    (0..3).for_each(|_| disturb());
    eventually("as many descriptors are open as before", || (open() <= before).then_some(()));
    assert_eq!(server.service("hello")["restarts"], 8);
}

#[test]
fn who_ends_well_is_started_again_as_its_policy_says() {
    let of = |module: &str, policy: &str| {
        spec(
            &format!("{module}-{policy}"),
            json!({ "module": module, "restart": { "policy": policy, "intensity": 1 } }),
        )
    };
    let services = [
        ("well_on_failure", of("echo", "on_failure")),
        ("well_never", of("echo", "never")),
        ("well_always", of("echo", "always")),
        ("badly_on_failure", of("faulty_exit7", "on_failure")),
        ("badly_never", of("faulty_exit7", "never")),
    ];
    let server = Setup::with_services(&services).start();
    for (name, state, restarts, why) in [
        ("well_on_failure", "stopped", 0, "exited with code 0"),
        ("well_never", "stopped", 0, "exited with code 0"),
        ("well_always", "failed", 1, "exited with code 0"),
        ("badly_on_failure", "failed", 1, "exited with code 7"),
        ("badly_never", "failed", 0, "exited with code 7"),
    ] {
        // Before it has begun it is stopped as well.
        let ended = eventually(&format!("{name} is {state}"), || {
            let service = server.service(name);
            (service["state"] == state && service["reason"].as_str()?.contains(why)).then_some(service)
        });
        assert_eq!(ended["restarts"], restarts, "{ended:#}");
        assert_eq!(ended["instances"], json!([]));
    }
}

#[test]
fn a_server_that_stops_does_not_wait_for_who_never_starts() {
    let mute = spec("mute", json!({ "module": "crashy", "env": { "CRASH": "mute" }, "grace_ms": 100 }));
    let mut server = Setup::with_services(&[("mute", mute)]).start();
    server.until_service("mute", "starting");
    let door = server.gateway();
    std::thread::scope(|scope| {
        let held = scope.spawn(|| get(&door, "/mute/hello"));
        eventually("a request waits", || (server.service("mute")["requests"] == 1).then_some(()));
        server.signal(SIGTERM);
        let reply = held.join().expect("it is answered");
        assert_eq!(reply.status, 503);
        assert_eq!(reply.json()["error"]["service"], "mute");
    });
    assert!(server.until_gone().success());
}

#[test]
fn a_restart_lets_requests_end_for_as_long_as_its_grace() {
    let services = [
        ("patient", spec("patient", json!({ "module": "clock", "grace_ms": 20_000 }))),
        ("hasty", spec("hasty", json!({ "module": "clock", "grace_ms": 200 }))),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("patient", "ready");
    server.until_service("hasty", "ready");
    let door = server.gateway();
    let under_way = |name: &str| {
        eventually("it is under way", || {
            (server.service(name)["instances"][0]["requests"] == 1).then_some(())
        });
    };
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| get(&door, "/patient/slow?ms=1000"));
        under_way("patient");
        server.order("service_restart", "patient");
        assert_eq!(server.text_via("/patient/count").find("\"count\":0"), Some(1), "the new one answers");
        assert_eq!(slow.join().expect("it is answered").text(), "after 1000 ms\n");

        let slow = scope.spawn(|| get(&door, "/hasty/slow?ms=600000"));
        under_way("hasty");
        let mut half = get(&door, "/hasty/big?bytes=100000000000");
        half.read_exact(&mut [0; 1000]).unwrap();
        server.order("service_restart", "hasty");
        assert_eq!(slow.join().expect("there is an answer").status, 502);
        assert!(std::io::copy(&mut half, &mut std::io::sink()).is_err(), "it looks whole");
    });
    assert_eq!(server.running_of("hasty").len(), 1);
}

#[test]
fn a_restart_lets_requests_on_the_port_itself_end_as_well() {
    let services = [("clock", spec("clock", json!({ "module": "clock", "grace_ms": 20_000 })))];
    let server = Setup::with_services(&services).start();
    server.until_service("clock", "ready");
    let door = server.door_of("clock");
    let session = server.service_session("clock");
    let mut slow = door.connect(patience()).unwrap();
    slow.write_all(b"GET /slow?ms=1500 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    // Who came later has been answered, so the process has this one, too.
    assert!(get(&door, "/tick").text().contains("\"count\":1,"));
    server.order("service_restart", "clock");
    assert_eq!(read_head(slow).unwrap().text(), "after 1500 ms\n");
    // And then it leaves, although its grace is long.
    eventually("the one of before is gone", || (server.info(&session)["state"] == "cancelled").then_some(()));
    assert_eq!(get(&door, "/slow?ms=1").text(), "after 1 ms\n");
}

#[test]
fn as_many_handlers_run_as_the_server_has_room_for() {
    let services = [("cgi", spec("cgi", json!({ "module": "cgi_echo", "kind": "handler" })))];
    let server = Setup::with_services(&services).set("max_sessions", 2).set("max_queue", 1).start();
    server.until_service("cgi", "ready");
    let door = server.gateway();
    std::thread::scope(|scope| {
        let ask = || {
            scope.spawn(|| {
                let reply = get(&door, "/cgi/slow?ms=500");
                (reply.status, reply.header("retry-after").map(str::to_owned), reply.text())
            })
        };
        let asks: Vec<_> = (0..8).map(|_| ask()).collect();
        let answers: Vec<_> = asks.into_iter().map(|ask| ask.join().expect("there is an answer")).collect();
        let good = answers.iter().filter(|answer| answer.0 == 200).count();
        assert!(good >= 2, "{answers:?}");
        for (status, retry_after, text) in &answers {
            let refused = *status == 503 && retry_after.as_deref() == Some("1") && text.contains("\"cgi\"");
            assert!(*status == 200 || refused, "{answers:?}");
        }
        assert!(good < 8, "{answers:?}");
    });
    assert_eq!(server.text_via("/cgi/"), "hello from a handler\n");
}

#[test]
fn a_module_in_use_stays_and_a_change_of_kind_is_taken_up() {
    let server = Setup::with_services(&[hello(json!({}))]).start();
    server.until_service("hello", "ready");
    assert_eq!(server.refusal_name("module_remove", json!({ "name": "hello" })), "module_in_use");
    server.put_guest("cgi_echo", "cgi_echo");
    server.declare("hello", spec("hello", json!({ "module": "cgi_echo", "kind": "handler" })));
    let _ = server.call("service_reload", json!({ "name": "hello" }));
    assert_eq!(server.text_via("/hello/"), "hello from a handler\n");
    let handler = server.service("hello");
    assert_eq!(
        (&handler["kind"], &handler["instances"], &handler["address"]),
        (&json!("handler"), &json!([]), &Value::Null)
    );
    server.declare("hello", hello(json!({})).1);
    let _ = server.call("service_reload", json!({ "name": "hello" }));
    server.until_service("hello", "ready");
    assert_eq!(server.text_of("hello", "/hello"), "hello, world\n");
}

#[test]
fn forty_services_start_and_are_served() {
    let names: Vec<String> = (0..40).map(|n| format!("s{n}")).collect();
    let services: Vec<_> =
        names.iter().map(|name| (name.as_str(), spec(name, json!({ "module": "hello" })))).collect();
    let server: Server = Setup::with_services(&services).start();
    for name in &names {
        server.until_service(name, "ready");
        assert_eq!(server.text_via(&format!("/{name}/hello")), "hello, world\n");
    }
    assert_eq!(server.stats()["running"], 40);
}
