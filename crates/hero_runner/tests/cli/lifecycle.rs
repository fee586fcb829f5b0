use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::UnixListener;

use crate::fake::{Answer, Ask, Fake, Seen, serve};

/// The server and the pages that the tests install: this test program, told by the environment which of them it is.
#[test]
#[ignore = "run by the other tests, as a process of its own"]
fn serve_as_a_process() {
    let Some(socket) = std::env::var_os("FAKE_SOCKET").map(PathBuf::from) else { return };
    let mode = std::env::var("FAKE_MODE").unwrap_or_default();
    let service = std::env::var("FAKE_SERVICE").unwrap_or_else(|_| "hero_runner".to_owned());
    let lock = std::fs::File::create(socket.with_extension("lock")).unwrap();
    if lock.try_lock().is_err() {
        let name = if service == "hero_runner" { "hero_runner_server" } else { &service };
        eprintln!("another {name} (pid 1) holds {}", socket.with_extension("lock").display());
        panic!("locked");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        let _ = std::fs::remove_file(&socket);
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let silent = mode == "silent";
        let gateway = (mode == "gateway").then_some("http://127.0.0.1:14000");
        let answer = move |ask: Ask| match ask.name.as_str() {
            "/health" if !silent => {
                Answer::Json(json!({ "status": "ok", "service": service, "version": "9.9.9" }))
            }
            "service_list" if !silent => {
                Answer::Result(json!({ "services": [], "problems": [], "gateway": gateway }))
            }
            "stats" if !silent => {
                let stats =
                    api::stats::Stats { server_pid: std::process::id(), ..api::stats::Stats::default() };
                Answer::Result(serde_json::to_value(stats).unwrap())
            }
            _ => Answer::Silence,
        };
        tokio::spawn(serve(listener, Arc::new(answer)));
        let needed = match mode.as_str() {
            "drains" => 2,
            "stubborn" => usize::MAX,
            _ => 1,
        };
        for _ in 0..needed {
            terminate.recv().await;
        }
        let _ = std::fs::remove_file(&socket);
    });
}

/// The program with a server beside it.
pub(crate) struct Installed {
    pub(crate) fake: Fake,
    pub(crate) program: PathBuf,
}

/// A script that becomes [`serve_as_a_process`] on the socket of its second argument.
fn fake_program(environment: &str) -> String {
    let own = std::env::current_exe().unwrap();
    let test = "lifecycle::serve_as_a_process";
    format!("{environment} FAKE_SOCKET=\"$2\" exec {} --ignored --exact {test} --nocapture", own.display())
}

impl Installed {
    pub(crate) fn new(script: Option<&str>) -> Self {
        let fake = Fake::absent();
        let bin = fake.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let program = bin.join("hero_runner");
        std::fs::copy(env!("CARGO_BIN_EXE_hero_runner"), &program).unwrap();
        let installed = Self { fake, program };
        installed.install("hero_runner_server", &script.map_or_else(|| fake_program(""), str::to_owned));
        installed
    }

    /// With the pages beside the server. `FAKE_UI_MODE` says how they behave.
    pub(crate) fn with_ui() -> Self {
        let installed = Self::new(None);
        let environment = "FAKE_SERVICE=hero_runner_ui FAKE_MODE=\"$FAKE_UI_MODE\"";
        installed.install("hero_runner_ui", &fake_program(environment));
        installed
    }

    pub(crate) fn install(&self, name: &str, script: &str) {
        let program = self.program.with_file_name(name);
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn run(&self, args: &[&str], mode: &str) -> Seen {
        let mut command = self.fake.command_of(&self.program, args);
        Seen::of(command.env("FAKE_MODE", mode).output().unwrap())
    }

    fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.fake.command_of(&self.program, args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn pid(&self) -> u64 {
        self.run(&["--status", "-o", "json"], "").json()["stats"]["server_pid"].as_u64().unwrap()
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // A test that failed must not leave its server.
        let _ = self.fake.command_of(&self.program, &["--stop", "--timeout", "0s", "-q"]).output();
    }
}

pub(crate) fn is_alive(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    // A zombie, or one that is being reaped at this moment.
    !status.is_empty() && !["Z", "X"].iter().any(|state| status.contains(&format!("State:\t{state}")))
}

#[test]
fn start_twice_is_one_server_and_stop_leaves_nothing() {
    let installed = Installed::new(None);
    assert_eq!(installed.run(&["--status"], "").code, Some(3));
    let first = installed.run(&["--start"], "");
    assert_eq!(first.code, Some(0), "{first:?}");
    let pid = installed.pid();
    let socket = installed.fake.socket().display().to_string();
    let expected = format!("hero_runner_server 9.9.9 listens on {socket} (pid {pid}, started directly)\n");
    assert_eq!(first.out, expected);
    let second = installed.run(&["--start"], "");
    assert_eq!(second.out, expected.replace("started directly", "already running"));
    assert_eq!(installed.pid(), pid);
    let status = installed.run(&["--status"], "");
    assert_eq!(status.code, Some(0));
    assert!(
        status.out.contains(&format!("hero_runner_server 9.9.9 runs on {socket} (pid {pid}, up ")),
        "{status:?}"
    );

    let stopped = installed.run(&["--stop"], "");
    assert_eq!(
        (stopped.code, stopped.out.as_str()),
        (Some(0), "hero_runner_server: stopped\n"),
        "{}",
        stopped.err
    );
    assert!(!is_alive(pid) && !installed.fake.socket().exists());
    let again = installed.run(&["--stop"], "");
    assert_eq!((again.code, again.out.as_str()), (Some(0), "hero_runner_server: not running\n"));
    let log = installed.fake.path().join("hero/var/hero_runner/server.log");
    assert!(log.metadata().unwrap().permissions().mode() & 0o077 == 0);
}

#[test]
fn starts_at_once_are_one_server() {
    let installed = Installed::new(None);
    let starts: Vec<Child> = (0..4).map(|_| installed.spawn(&["--start", "-o", "json"])).collect();
    let pids: Vec<_> = starts
        .into_iter()
        .map(|start| {
            let seen = Seen::of(start.wait_with_output().unwrap());
            assert_eq!(seen.code, Some(0), "{seen:?}");
            seen.json()["pid"].as_u64().unwrap()
        })
        .collect();
    assert!(pids.iter().all(|pid| *pid == installed.pid()), "{pids:?}");
}

#[test]
fn a_server_that_cannot_start_is_quoted() {
    let installed = Installed::new(Some("echo 'setting `spare_min`: is larger' >&2; exit 2"));
    let seen = installed.run(&["--start"], "");
    assert_eq!(seen.code, Some(1));
    assert!(
        seen.err.contains("the server ended at once (exit status: 2)\n  | setting `spare_min`: is larger\n"),
        "{seen:?}"
    );
}

#[test]
fn a_server_that_is_nowhere_is_asked_for() {
    // A copy, because the program under test may have a real server beside it.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("hero_runner");
    std::fs::copy(env!("CARGO_BIN_EXE_hero_runner"), &copy).unwrap();
    let output = std::process::Command::new(copy)
        .arg("--start")
        .env_clear()
        .env("HOME", folder.path())
        .env("HERO_BIN_DIR", "/missing")
        .env("PATH", "/missing")
        .output()
        .unwrap();
    let seen = Seen::of(output);
    assert_eq!(seen.code, Some(1));
    assert!(seen.err.contains("hero_runner_server is neither beside"), "{seen:?}");
}

#[test]
fn stop_escalates() {
    for (mode, text) in
        [("drains", "stopped; it did not wait"), ("stubborn", "killed: it did not stop in time")]
    {
        let installed = Installed::new(None);
        assert_eq!(installed.run(&["--start"], mode).code, Some(0));
        let pid = installed.pid();
        let seen = installed.run(&["--stop", "--timeout", "600ms"], "");
        assert_eq!(seen.code, Some(0), "{seen:?}");
        assert!(seen.out.contains(text), "{seen:?}");
        assert!(!is_alive(pid), "{seen:?}");
        assert!(!installed.fake.socket().exists(), "{seen:?}");
    }
}

#[test]
fn a_socket_that_is_left_over_is_told_and_removed() {
    let fake = Fake::absent();
    drop(std::os::unix::net::UnixListener::bind(fake.socket()).unwrap());
    assert_eq!(fake.run(&["--status"]).code, Some(1));
    let seen = fake.run(&["--stop"]);
    assert_eq!(seen.code, Some(0));
    assert_eq!(seen.out, "hero_runner_server: not running; its stale socket is removed\n");
    assert!(!fake.socket().exists());
}

#[test]
fn another_program_on_the_socket_is_left_alone() {
    let fake = Fake::new(|ask| match ask.name.as_str() {
        "/health" => Answer::Json(json!({ "status": "ok", "service": "hero_runner", "version": "1" })),
        // As under socket activation: who listens and who answers differ.
        "stats" => Answer::Result(
            serde_json::to_value(api::stats::Stats { server_pid: 1, ..Default::default() }).unwrap(),
        ),
        other => panic!("{other}"),
    });
    let seen = fake.run(&["--stop"]);
    assert_eq!(seen.code, Some(1));
    assert!(seen.err.contains("belongs to") && seen.err.contains("systemctl"), "{seen:?}");
    assert!(fake.socket().exists());
}

#[test]
fn foreground_becomes_the_server() {
    let installed = Installed::new(Some("echo \"$@\"; exit 42"));
    let seen = installed.run(&["--start", "--foreground"], "");
    let socket = installed.fake.socket();
    assert_eq!((seen.code, seen.out), (Some(42), format!("--socket {}\n", socket.display())));
}

#[test]
fn a_silent_server_is_unknown_and_not_started_again() {
    let installed = Installed::new(None);
    let server = installed.program.with_file_name("hero_runner_server");
    let mut child =
        installed.fake.command_of(&server, &["--socket", installed.fake.socket().to_str().unwrap()]);
    let mut child = child.env("FAKE_MODE", "silent").stdout(Stdio::null()).spawn().unwrap();
    wait_for(&installed.fake.socket());
    assert_eq!(installed.run(&["--status"], "").code, Some(4));
    let seen = installed.run(&["--start"], "");
    assert!(seen.code == Some(1) && seen.err.contains("does not answer"), "{seen:?}");
    // It cannot be told to be the server by its program's name either, so it is left alone.
    assert_eq!(installed.run(&["--stop"], "").code, Some(1));
    child.kill().unwrap();
    child.wait().unwrap();
}

pub(crate) fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}
