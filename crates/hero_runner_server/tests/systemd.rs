//! What systemd sees: notifications, the watchdog and a socket that it opened. The server runs in a child process, this
//! same program again, because the protocol is in the environment.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod stand_in;

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use hero_runner_server::lock::Lock;
use hero_runner_server::settings::Sources;
use hero_runner_server::{serve, signals, socket};
use stand_in::{StandIn, request};

#[tokio::test]
#[ignore = "the test below runs it as a child"]
async fn child() {
    let settings = Sources::from_process().unwrap().resolve().unwrap().settings;
    let inherited = socket::inherited().unwrap();
    assert!(inherited.is_some());
    assert!(std::env::var_os("LISTEN_FDS").is_none());
    let lock = Lock::take(&settings).unwrap();
    let bound = socket::listen(inherited, &settings.socket, &lock).unwrap();
    let orders = signals::orders().unwrap();
    serve::serve(StandIn::default(), bound.listener, &settings, orders, || {}).await.unwrap();
}

#[tokio::test]
async fn systemd_is_told_and_its_socket_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("hero_runner");
    std::fs::create_dir(&place).unwrap();
    let path = place.join("rpc.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let notify = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // systemd passes the socket as descriptor 3 and the number of the process; a shell can do both.
    let script = r#"exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" --exact child --ignored"#;
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("HERO_SOCKET_DIR", dir.path())
        .env("HERO_RUNNER_STATE_DIR", dir.path().join("state"))
        .env("HERO_RUNNER_DRAIN_MS", "100")
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .env("WATCHDOG_USEC", "100000")
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // A client may come before the server is ready: it waits in the socket's queue.
    let reply = request(&path, "GET", "/health", "", b"").await;
    assert_eq!(reply.status, 200);
    let hear = || {
        let mut buffer = [0; 512];
        let size = notify.recv(&mut buffer).expect("a notification");
        String::from_utf8(buffer[..size].to_vec()).unwrap()
    };
    let mut heard = vec![hear()];
    while heard.iter().filter(|text| text.contains("WATCHDOG=1")).count() < 3 {
        heard.push(hear());
    }
    assert!(heard[0].contains("READY=1") && heard[0].contains("STATUS=listening on"), "{heard:?}");
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    while !hear().contains("STOPPING=1") {}
    assert!(child.wait().unwrap().success());
    assert!(path.exists(), "the socket is systemd's");
}
