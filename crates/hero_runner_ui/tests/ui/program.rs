//! The program itself: its socket, its lock, its end.

use std::io::{Read as _, Write as _};
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
        Self::start_with(dir, &[])
    }

    fn start_with(dir: &Path, arguments: &[&str]) -> Self {
        let child = Self(Some(program(dir).args(arguments).spawn().expect("the program can be run")));
        let socket = dir.join("hero_runner/ui.sock");
        let begun = Instant::now();
        // The kernel takes connections from the moment on that the socket is bound; an answer comes when all is ready.
        let answers = || -> std::io::Result<usize> {
            let mut stream = std::os::unix::net::UnixStream::connect(&socket)?;
            stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
            stream.read(&mut [0; 16])
        };
        while answers().is_err() {
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

#[tokio::test]
async fn browsers_are_served_where_ui_url_says() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hero_runner/ui.url");
    let running = Running::start_with(dir.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let url = std::fs::read_to_string(&file).unwrap();
    let (address, token) = url.trim().split_once("/#token=").unwrap();
    assert!(
        token.len() == 43 && !token.contains(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)),
        "{token}"
    );
    let authority = address.strip_prefix("http://").unwrap();
    let ask = |more: &str| {
        let mut stream = std::net::TcpStream::connect(authority).unwrap();
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"session_stop"}"#;
        let length = body.len();
        let head = format!(
            "POST /rpc HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-length: {length}\r\n"
        );
        stream.write_all(format!("{head}{more}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("").starts_with("HTTP/1.1 401"), "the token is missing");
    // With it, only the server is.
    assert!(ask(&format!("x-hero-token: {token}\r\n")).starts_with("HTTP/1.1 503"));
    assert!(running.end(Signal::TERM).status.success());
    assert!(!file.exists());
    let again = Running::start_with(dir.path(), &["--listen", "127.0.0.1:0"]);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(token), "each start makes a new one");
    drop(again);
}

#[tokio::test]
async fn a_port_that_is_taken_leaves_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let running = Running::start_with(dir.path(), &["--listen", &taken.local_addr().unwrap().to_string()]);
    let socket = dir.path().join("hero_runner/ui.sock");
    let seen = ask(&socket, "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(seen.status, 200);
    let output = running.end(Signal::TERM);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("browsers are not served on"), "{told}");
    assert!(!dir.path().join("hero_runner/ui.url").exists());
}

#[test]
fn only_this_machine_is_listened_to() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, why) in [
        (["--listen", "0.0.0.0:1"], "not an address of this machine alone"),
        (["--listen", "14001"], "say 127.0.0.1:14001"),
        (["--token-hours", "0"], "from 0.001 on"),
        (["--host", "box.example"], "--listen"),
    ] {
        let output = program(dir.path()).args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains(why), "{told}");
    }
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
