//! With the real supervisor, where there is one: `zinit-server` on the PATH, or named by `ZINIT_SERVER`.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::lifecycle::{Installed, is_alive, wait_for};

struct Supervisor(Child);

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn zinit_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("ZINIT_SERVER").map(PathBuf::from);
    named.or_else(|| {
        std::env::split_paths(&path).map(|dir| dir.join("zinit-server")).find(|path| path.is_file())
    })
}

/// A supervisor for what is installed there, and the folder of its services; none where there is no zinit.
fn supervise(installed: &Installed) -> Option<(Supervisor, PathBuf)> {
    let Some(program) = zinit_server() else {
        eprintln!("skipped: there is no zinit-server; `cargo install zinit` makes one");
        return None;
    };
    let dir = installed.fake.path();
    let config = dir.join("zinit");
    let supervisor = Command::new(program)
        .args([
            "--config-dir",
            config.to_str().unwrap(),
            "--socket",
            dir.join("zinit.sock").to_str().unwrap(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let supervisor = Supervisor(supervisor);
    wait_for(&dir.join("zinit.sock"));
    Some((supervisor, config))
}

#[test]
fn the_server_is_started_kept_and_stopped_by_zinit() {
    let installed = Installed::new(None);
    let Some((_supervisor, config)) = supervise(&installed) else { return };
    let started = installed.run(&["--start"], "");
    assert_eq!(started.code, Some(0), "{started:?}");
    assert!(started.out.contains("started by zinit"), "{started:?}");
    assert!(config.join("hero_runner_server.toml").exists());
    let pid = installed.pid();
    assert!(installed.run(&["--start"], "").out.contains("already running"));

    let stopped = installed.run(&["--stop"], "");
    assert_eq!(
        (stopped.code, stopped.out.as_str()),
        (Some(0), "hero_runner_server: stopped by zinit\n"),
        "{stopped:?}"
    );
    assert!(!is_alive(pid) && !installed.fake.socket().exists());
    assert!(!config.join("hero_runner_server.toml").exists());
    assert!(installed.run(&["--stop"], "").out.contains("not running"));

    // Once more, and with a server that fails: it is not left to be started again and again.
    assert!(installed.run(&["--start"], "").out.contains("started by zinit"));
    assert_eq!(installed.run(&["--stop"], "").code, Some(0));
    let server = installed.program.with_file_name("hero_runner_server");
    std::fs::write(&server, "#!/bin/sh\necho it is broken\nexit 1\n").unwrap();
    let failed = installed.run(&["--start"], "");
    assert_eq!(failed.code, Some(1));
    assert!(failed.err.contains("did not start under zinit"), "{failed:?}");
    assert!(!config.join("hero_runner_server.toml").exists());
}

#[test]
fn the_pages_are_a_second_service_of_zinit() {
    let installed = Installed::with_ui();
    let Some((_supervisor, config)) = supervise(&installed) else { return };
    let started = installed.run(&["--start", "-o", "json"], "").json();
    assert_eq!((&started["started_by"], &started["ui"]["started_by"]), (&"zinit".into(), &"zinit".into()));
    assert!(config.join("hero_runner_ui.toml").exists());
    let pid = started["ui"]["pid"].as_u64().unwrap();
    let again = installed.run(&["--start", "-o", "json"], "").json();
    assert_eq!((&again["ui"]["started"], &again["ui"]["pid"]), (&false.into(), &pid.into()), "{again:#}");

    let stopped = installed.run(&["--stop"], "");
    assert_eq!(stopped.out, "hero_runner_server: stopped by zinit\n", "{stopped:?}");
    assert!(!is_alive(pid) && !installed.fake.path().join("ui.sock").exists());
    assert!(!config.join("hero_runner_ui.toml").exists() && !config.join("hero_runner_server.toml").exists());
}
