//! The pages beside the server: started, told and stopped together with it.

use crate::fake::Fake;
use crate::lifecycle::{Installed, is_alive};

fn ui_pid(installed: &Installed) -> u64 {
    let status = installed.run(&["--status", "-o", "json"], "gateway").json();
    status["ui"]["pid"].as_u64().unwrap_or_else(|| panic!("{status:#}"))
}

#[test]
fn they_start_and_stop_with_the_server() {
    let installed = Installed::with_ui();
    let socket = installed.fake.path().join("ui.sock");
    let shown = socket.display();
    let first = installed.run(&["--start"], "gateway");
    assert_eq!(first.code, Some(0), "{first:?}");
    let pid = ui_pid(&installed);
    let lines: Vec<&str> = first.out.lines().collect();
    let line = format!("hero_runner_ui 9.9.9 listens on {shown} (pid {pid}, started directly)");
    assert_eq!(&lines[1..], [line.as_str(), "gateway: http://127.0.0.1:14000/"]);

    // Again: nothing is started twice.
    let second = installed.run(&["--start", "-o", "json"], "gateway").json();
    assert_eq!((&second["started"], &second["ui"]["started"]), (&false.into(), &false.into()), "{second:#}");
    assert_eq!((&second["ui"]["pid"], &second["gateway"]), (&pid.into(), &"http://127.0.0.1:14000".into()));

    let status = installed.run(&["--status"], "");
    assert!(
        status.out.contains(&format!("\nhero_runner_ui 9.9.9 runs on {shown} (pid {pid})\n")),
        "{status:?}"
    );
    assert!(status.out.ends_with("gateway: http://127.0.0.1:14000/\n"), "{status:?}");

    let stopped = installed.run(&["--stop"], "");
    let expected = "hero_runner_server: stopped\nhero_runner_ui: stopped\n";
    assert_eq!((stopped.code, stopped.out.as_str()), (Some(0), expected), "{stopped:?}");
    assert!(!is_alive(pid) && !socket.exists() && !installed.fake.socket().exists());
    assert!(installed.run(&["--status"], "").out.contains("hero_runner_ui: not running"));
    assert_eq!(installed.run(&["--stop"], "").out, "hero_runner_server: not running\n");
}

#[test]
fn pages_that_died_are_started_beside_a_server_that_lives() {
    let installed = Installed::with_ui();
    assert_eq!(installed.run(&["--start"], "").code, Some(0));
    let (server, pid) = (installed.pid(), ui_pid(&installed));
    assert!(std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    while is_alive(pid) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let status = installed.run(&["--status"], "");
    assert!(status.code == Some(0) && status.out.contains("is left over"), "{status:?}");
    let again = installed.run(&["--start", "-o", "json"], "").json();
    assert_eq!((&again["started"], &again["ui"]["started"]), (&false.into(), &true.into()), "{again:#}");
    assert_eq!(installed.pid(), server);
    assert_ne!(ui_pid(&installed), pid);
}

#[test]
fn the_server_starts_without_them_when_told_so() {
    let installed = Installed::with_ui();
    let seen = installed.run(&["--start", "--no-ui", "-o", "json"], "");
    assert!(seen.code == Some(0) && seen.json()["ui"].is_null(), "{seen:?}");
    assert!(!installed.fake.path().join("ui.sock").exists());
    let stopped = installed.run(&["--stop"], "");
    assert_eq!(stopped.out, "hero_runner_server: stopped\n");
}

#[test]
fn pages_that_do_not_start_are_told_and_the_server_runs() {
    let installed = Installed::new(None);
    installed.install("hero_runner_ui", "echo 'it is broken' >&2; exit 2");
    let seen = installed.run(&["--start"], "");
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert!(seen.out.starts_with("hero_runner_server 9.9.9 listens on"), "{seen:?}");
    assert!(
        seen.err.contains("hero_runner_ui ended at once (exit status: 2)\n  | it is broken\n"),
        "{seen:?}"
    );
    let seen = installed.run(&["--start", "-o", "json"], "").json();
    assert!(seen["ui"]["error"].as_str().unwrap().contains("it is broken"), "{seen:#}");
}

#[test]
fn pages_that_do_not_stop_are_killed() {
    let installed = Installed::with_ui();
    let mut start = installed.fake.command_of(&installed.program, &["--start"]);
    assert!(start.env("FAKE_UI_MODE", "stubborn").output().unwrap().status.success());
    let pid = ui_pid(&installed);
    let seen = installed.run(&["--stop", "-o", "json"], "");
    assert_eq!(seen.json()["ui"], "killed: it did not stop in time", "{seen:?}");
    assert!(!is_alive(pid) && !installed.fake.path().join("ui.sock").exists());
}

#[test]
fn what_is_left_over_of_them_is_removed_and_a_stranger_is_left_alone() {
    let fake = Fake::absent();
    let socket = fake.path().join("ui.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let seen = fake.run(&["--stop"]);
    let expected =
        "hero_runner_server: not running\nhero_runner_ui: not running; its stale socket is removed\n";
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), expected));
    assert!(!socket.exists());
    // This test itself listens, and answers as something else.
    let stranger = Fake::new(|_| {
        crate::fake::Answer::Json(serde_json::json!({ "status": "ok", "service": "x", "version": "1" }))
    });
    std::fs::rename(stranger.socket(), stranger.path().join("ui.sock")).unwrap();
    let seen = stranger.run(&["--stop"]);
    assert_eq!(seen.code, Some(1));
    assert!(
        seen.err.contains("belongs to") && seen.out.contains("hero_runner_server: not running"),
        "{seen:?}"
    );
}
