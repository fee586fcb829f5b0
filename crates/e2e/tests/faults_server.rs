//! The server itself: killed, told to stop, started twice, and without room for its history.

use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::canary::Canary;
use e2e::{Folder, Server, Setup, Value, census, eventually, json, signal_to};
use nix::sys::signal::Signal::{SIGKILL, SIGTERM};

fn state(server: &Server, session_id: &str) -> Value {
    server.info(session_id)["state"].clone()
}

#[test]
fn after_a_kill_of_the_server_nothing_of_it_runs_and_the_next_one_has_its_history() {
    let mut server = Setup::new().set("max_sessions", 2).start();
    let ended = server.session(json!({ "module": "hello" }));
    assert_eq!(server.wait(&ended)["success"], true);
    let running: Vec<_> = (0..2).map(|_| server.session(json!({ "module": "canary" }))).collect();
    running.iter().for_each(|id| server.until_line(id, "c 10"));
    let queued = server.session(json!({ "module": "hello" }));
    // The history is written in order, a few milliseconds behind: the last record brings all before it.
    eventually("the history has it", || {
        let file = |suffix: &str| std::fs::read(server.state_dir().join(format!("hero_runner.db{suffix}")));
        let holds = |bytes: &Vec<u8>| bytes.windows(queued.len()).any(|window| window == queued.as_bytes());
        ["", "-wal"].iter().any(|suffix| file(suffix).is_ok_and(|bytes| holds(&bytes))).then_some(())
    });

    server.kill();
    assert!(server.socket().exists(), "nobody was left to remove it");
    server.start_again();

    let result = server.wait(&ended);
    assert_eq!((&result["success"], &result["stdout"]), (&json!(true), &json!("hello, world\n")));
    for id in running.iter().chain([&queued]) {
        assert_eq!(server.wait(id)["outcome"], json!({ "kind": "interrupted" }));
        assert_eq!(server.info(id)["child_pid"], Value::Null);
    }
    assert_eq!(server.lines(&running[0])[0]["line"], "c 1");
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);
    Canary::start(&server).is_undisturbed();
}

#[test]
fn a_second_server_in_the_same_folder_names_the_first_and_leaves_it_alone() {
    let server = Server::start();
    let mut canary = Canary::start(&server);
    let second = Setup::new().command("hero_runner_server", server.dir()).output().expect("it runs");
    assert!(!second.status.success(), "{second:?}");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&format!("pid {}", server.pid())), "{said}");
    canary.is_undisturbed();
}

#[test]
fn of_many_servers_that_start_at_once_one_runs() {
    let folder = Folder::new();
    let spawn = || Setup::new().command("hero_runner_server", folder.path()).spawn().expect("it runs");
    let mut all: Vec<_> = (0..8).map(|_| spawn()).collect();
    let winner = eventually("seven give up", || {
        all.retain_mut(|server| match server.try_wait().expect("our own child") {
            Some(status) => {
                assert_eq!(status.code(), Some(1));
                false
            }
            None => true,
        });
        (all.len() == 1).then(|| all[0].id())
    });
    let owner = eventually("the winner has said who it is", || {
        let text = std::fs::read_to_string(folder.path().join("state/lock")).ok()?;
        text.trim().parse::<u32>().ok()
    });
    assert_eq!(owner, winner);
    signal_to(winner, SIGKILL);
    let _ = all[0].wait();
    eventually("nothing is left", || census::living_in(folder.path()).is_empty().then_some(()));
}

#[test]
fn a_stale_socket_is_replaced_and_another_file_is_not() {
    let folder = Folder::new();
    let socket = folder.path().join("s/hero_runner/rpc.sock");
    let dir = socket.parent().expect("a folder");
    std::fs::DirBuilder::new().recursive(true).create(dir).expect("a folder");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    let server = Setup::new().start_in(folder);
    assert_eq!(server.run(json!({ "module": "hello" }))["success"], true);

    let folder = server.into_folder();
    let _ = std::fs::remove_file(&socket);
    std::fs::write(&socket, "precious").expect("a file in its place");
    let refused = Setup::new().command("hero_runner_server", folder.path()).output().expect("it runs");
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("not a socket"), "{said}");
    assert_eq!(std::fs::read_to_string(&socket).expect("it is there"), "precious");
}

#[test]
fn a_server_that_is_told_to_stop_lets_sessions_end_and_stops_the_others() {
    let mut server = Setup::new().set("max_sessions", 2).set("drain_ms", 2000).start();
    let short = server.session(json!({ "module": "canary", "args": ["50"] }));
    let endless = server.session(json!({ "module": "canary" }));
    server.until_line(&endless, "c 1");
    let queued = server.session(json!({ "module": "hello" }));
    let starved = server.session(json!({ "module": "canary" }));
    server.signal(SIGTERM);
    eventually("it says that it is stopping", || {
        (server.get("/health").json()["status"] == "degraded").then_some(())
    });
    assert_eq!(server.refusal_name("session_start", json!({ "module": "hello" })), "draining");
    assert_eq!(server.until_gone().code(), Some(0));
    assert!(!server.socket().exists());

    server.start_again();
    assert_eq!(state(&server, &short), "succeeded");
    assert_eq!(server.lines(&short).len(), 50);
    assert_eq!(state(&server, &endless), "cancelled");
    // It came to run when the short one had ended, and another took its place.
    assert_eq!(state(&server, &queued), "succeeded");
    assert_eq!(state(&server, &starved), "cancelled");
}

#[test]
fn a_server_that_is_told_twice_to_stop_stops_at_once() {
    let mut server = Setup::new().set("drain_ms", 3_600_000).start();
    let endless = server.session(json!({ "module": "canary" }));
    server.until_line(&endless, "c 1");
    server.signal(SIGTERM);
    eventually("it says that it is stopping", || {
        (server.get("/health").json()["status"] == "degraded").then_some(())
    });
    server.signal(SIGTERM);
    assert_eq!(server.until_gone().code(), Some(0));
    server.start_again();
    assert_eq!(server.wait(&endless)["outcome"], json!({ "kind": "interrupted" }));
}

/// A small file system of its own, unmounted at the end.
struct Mount(PathBuf);

impl Mount {
    fn new(dir: &Path, megabytes: u32) -> Result<Self, String> {
        let options = format!("size={megabytes}m,mode=0700");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir).output();
        match output {
            Ok(output) if output.status.success() => Ok(Self(dir.to_owned())),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Also while something still holds it, after a failed test.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_degrades_the_history_and_nothing_else() {
    let disk = Folder::new();
    let _mount = match Mount::new(disk.path(), 24) {
        Ok(mount) => mount,
        Err(why) => {
            println!("a file system cannot be mounted: skipped: {why}");
            return;
        }
    };
    let server = Setup::new().set("state_dir", disk.path().display()).start();
    let mut canary = Canary::start(&server);

    let ballast = disk.path().join("ballast");
    let zeroes = std::fs::File::open("/dev/zero").expect("zeroes");
    let full = std::io::copy(&mut &zeroes, &mut std::fs::File::create(&ballast).expect("a file"));
    assert_eq!(full.expect_err("the disk is full now").kind(), std::io::ErrorKind::StorageFull);

    let flood = json!({ "module": "faulty_flood", "args": ["20000"] });
    let during = server.session(flood);
    assert_eq!(server.wait(&during)["outcome"], json!({ "kind": "exited", "code": 0 }));
    let health = eventually("it says that its history takes nothing", || {
        let health = server.get("/health").json();
        (health["status"] == "degraded").then_some(health)
    });
    assert!(health["reasons"][0].as_str().is_some_and(|why| why.contains("history")), "{health:#}");
    assert_eq!(server.stats()["history_ok"], false);
    let hello = server.run(json!({ "module": "hello" }));
    assert_eq!(hello["stdout"], "hello, world\n", "what is in memory is shown");
    canary.sings();

    std::fs::remove_file(&ballast).expect("there is room again");
    eventually("it recovers", || (server.get("/health").json()["status"] == "ok").then_some(()));
    let after = server.session(json!({ "module": "hello" }));
    assert_eq!(server.wait(&after)["success"], true);
    assert_eq!(server.info(&during)["state"], "succeeded");
    canary.is_undisturbed();
}
