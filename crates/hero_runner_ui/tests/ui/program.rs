//! The program itself: its socket, its lock, its end.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::stand_in::ask;

fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hero_runner_ui"));
    command.env_clear().env("HERO_SOCKET_DIR", dir).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A child that does not outlive its test.
struct Running(Option<Child>);

impl Running {
    fn start(dir: &Path) -> Self {
        let child = Self(Some(program(dir).spawn().expect("the program can be run")));
        let socket = dir.join("hero_runner/ui.sock");
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "{} never came", socket.display());
            std::thread::sleep(Duration::from_millis(10));
        }
        child
    }

    fn end(mut self, signal: Signal) -> Output {
        let child = self.0.take().expect("it was started");
        let pid = Pid::from_raw(child.id().try_into().expect("a pid has 31 bits")).expect("a pid is not 0");
        kill_process(pid, signal).expect("a child can be signalled");
        child.wait_with_output().expect("a child can be waited for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn it_listens_alone_and_in_private_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("hero_runner");
    let socket = folder.join("ui.sock");
    for signal in [Signal::TERM, Signal::INT] {
        let running = Running::start(dir.path());
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let seen = ask(&socket, "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert_eq!(seen.status, 200);

        let second = program(dir.path()).output().unwrap();
        let told = String::from_utf8(second.stderr).unwrap();
        let pid = running.0.as_ref().unwrap().id();
        assert_eq!(second.status.code(), Some(1));
        assert!(told.contains(&format!("another hero_runner_ui (pid {pid}) holds")), "{told}");

        let output = running.end(signal);
        assert!(output.status.success(), "{output:?}");
        assert!(!socket.exists());
    }
}

#[test]
fn a_socket_that_is_left_over_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("hero_runner/ui.sock");
    let killed = Running::start(dir.path()).end(Signal::KILL);
    assert!(!killed.status.success() && socket.exists());
    let stale = socket.symlink_metadata().unwrap().ino();
    let running = Running::start(dir.path());
    assert_ne!(socket.symlink_metadata().unwrap().ino(), stale);
    assert!(running.end(Signal::TERM).status.success());
    let names: Vec<_> = std::fs::read_dir(dir.path().join("hero_runner")).unwrap().flatten().collect();
    assert_eq!(names.len(), 1, "only the lock stays: {names:?}");
}

#[test]
fn a_place_that_is_not_its_own_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("hero_runner");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let told = |command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told(&mut program(dir.path())).contains("others can write"));
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(folder.join("ui.sock"), "mine").unwrap();
    assert!(told(&mut program(dir.path())).contains("it is not a socket"));
    assert_eq!(std::fs::read(folder.join("ui.sock")).unwrap(), b"mine");
    let long = dir.path().join("x".repeat(100));
    assert!(told(program(dir.path()).arg("--socket").arg(long)).contains("107 bytes"));
}
