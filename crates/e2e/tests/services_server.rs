//! Services and the end of their server.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use e2e::http::read_head;
use e2e::services::{free_port, get, spec};
use e2e::{Server, Setup, census, eventually, json, patience};
use nix::sys::signal::Signal::SIGTERM;

fn both(port: u16) -> Setup {
    let schedules = json!([{ "endpoint": "/tick", "interval_secs": 3600 }]);
    Setup::with_services(&[
        ("clock", spec("clock", json!({ "module": "clock", "port": port, "schedules": schedules }))),
        ("cgi", spec("cgi", json!({ "module": "cgi_echo", "kind": "handler" }))),
    ])
}

fn until_ready(server: &Server) {
    server.until_service("clock", "ready");
    server.until_service("cgi", "ready");
}

#[test]
fn a_server_that_is_killed_leaves_no_process_and_the_next_one_has_the_services_up_again() {
    let port = free_port();
    let mut server = both(port).start();
    until_ready(&server);
    let (session, gateway) = (server.service_session("clock"), server.gateway_socket());
    server.until_on_disk(&session);
    // It is an error if a process is left.
    server.kill();
    server.start_again();
    until_ready(&server);
    assert_eq!(server.service("clock")["address"], format!("http://127.0.0.1:{port}"));
    assert_eq!(server.text_of("clock", "/slow?ms=1"), "after 1 ms\n");
    assert_eq!(get(&gateway, "/clock/slow?ms=1").text(), "after 1 ms\n");
    assert_eq!(server.text_via("/cgi/"), "hello from a handler\n");
    assert_eq!(server.info(&session)["outcome"], json!({ "kind": "interrupted" }));
    let sockets = std::fs::read_dir(server.state_dir().join("run")).unwrap().count();
    assert_eq!(sockets, 1, "one process, one socket");
}

#[test]
fn a_server_that_was_killed_leaves_no_cgroup_for_long() {
    let mut server = both(free_port()).start();
    until_ready(&server);
    let session = server.info(&server.service_session("clock"));
    if session["limits"].get("memory_cgroup_mb").is_none() {
        // This machine lets it make none.
        return;
    }
    let cgroup = std::fs::read_to_string(format!("/proc/{}/cgroup", session["child_pid"])).unwrap();
    let line = cgroup.lines().find(|line| line.contains(":memory:") || line.starts_with("0::/hero")).unwrap();
    let own = line.rsplit_once(':').unwrap().1.to_owned();
    let mark = format!("hero_runner-{}", server.pid());
    assert!(own.contains(&mark), "{own}");
    let find = || {
        let mut dirs = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    if entry.file_name().to_string_lossy() == mark {
                        return true;
                    }
                    dirs.push(entry.path());
                }
            }
        }
        false
    };
    assert!(find());
    server.kill();
    server.start_again();
    until_ready(&server);
    eventually("the cgroups of the server that was killed are gone", || (!find()).then_some(()));
}

#[test]
fn a_server_that_stops_finishes_requests_that_are_under_way() {
    let mut server = both(free_port()).set("grace_ms", 10_000).start();
    until_ready(&server);
    let door = server.gateway();
    let socket = server.gateway_socket();
    std::thread::scope(|scope| {
        let ask = |path: &'static str, door| {
            scope.spawn(move || {
                let reply = get(door, path);
                (reply.status, reply.text())
            })
        };
        let asks = [
            ask("/clock/slow?ms=700", &door),
            ask("/clock/slow?ms=701", &socket),
            ask("/cgi/slow?ms=702", &door),
        ];
        eventually("all are under way", || {
            let clock = server.service("clock");
            (clock["instances"][0]["requests"] == 2 && server.running_of("cgi").len() == 1).then_some(())
        });
        server.signal(SIGTERM);
        let answers = asks.map(|ask| ask.join().expect("it is answered"));
        let text = |text: &str| (200, text.to_owned());
        assert_eq!(answers, [text("after 700 ms\n"), text("after 701 ms\n"), text("at last\n")]);
    });
    assert!(server.until_gone().success());
}

#[test]
fn a_server_that_stops_does_not_wait_for_who_only_holds_a_connection() {
    let mut server = both(free_port()).set("grace_ms", 300).start();
    until_ready(&server);
    let door = server.gateway();
    let mut idle = door.connect(patience()).unwrap();
    idle.write_all(b"GET /clock/slow?ms=1 HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert_eq!(read_head(idle.try_clone().unwrap()).unwrap().status, 200);
    let silent = door.connect(patience()).unwrap();
    let mut tunnel = door.connect(patience()).unwrap();
    let upgrade = "GET /clock/ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    tunnel.write_all(upgrade.as_bytes()).unwrap();
    let tunnelled = read_head(tunnel).unwrap();
    assert_eq!(tunnelled.status, 101);
    let client =
        std::thread::spawn(move || std::io::copy(&mut tunnelled.into_stream(), &mut std::io::sink()));
    assert!(server.stop().success());
    // Whoever waits for something learns that nothing comes.
    let _ = client.join().unwrap();
    drop((idle, silent));
}

#[test]
fn sockets_are_for_their_user_alone() {
    let server = both(free_port()).start();
    until_ready(&server);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.socket().with_file_name("gateway.sock")), 0o600);
    let run = server.state_dir().join("run");
    assert_eq!(mode(&run), 0o700);
    let sockets: Vec<_> = std::fs::read_dir(run).unwrap().map(|entry| mode(&entry.unwrap().path())).collect();
    assert_eq!(sockets, [0o600]);
}

#[test]
fn the_command_line_stops_a_server_with_services_in_order() {
    let mut server = both(free_port()).start();
    until_ready(&server);
    let everybody = server.tree();
    let output = server.cli(&["--stop"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(server.until_gone().success());
    assert!(everybody.iter().all(|process| !process.still_runs()));
    assert!(!server.socket().with_file_name("gateway.sock").exists());
    assert_eq!(std::fs::read_dir(server.state_dir().join("run")).unwrap().count(), 0);
    let log = server.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[test]
fn a_service_that_waits_takes_no_processor_time() {
    let services = [
        ("off", spec("off", json!({ "module": "hello", "enabled": false }))),
        ("waits", spec("waits", json!({ "module": "hello", "requires": ["off"] }))),
    ];
    let server = Setup::with_services(&services).start();
    server.until_service("waits", "waiting");
    // What it did at its start is done, and then a second in which there is nothing to do.
    let _ = eventually("it has come to rest", || {
        let before = census::cpu_ticks(server.pid())?;
        std::thread::sleep(std::time::Duration::from_secs(1));
        let used = census::cpu_ticks(server.pid())? - before;
        (used <= 20).then_some(used)
    });
}
