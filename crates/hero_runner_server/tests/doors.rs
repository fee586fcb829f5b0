//! The accept loop by itself: slow clients, and a process without descriptors. One test function, because the limit on
//! descriptors is the process's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod stand_in;

use std::fs::File;
use std::time::{Duration, Instant};

use hero_runner_server::{accept, routes};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use stand_in::{Answer, StandIn, request, settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

#[tokio::test]
async fn slow_clients_are_cut_and_want_of_descriptors_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let router = routes::router(StandIn::default(), &settings(dir.path()));
    let limits = accept::Limits { connections: 100, head_timeout: Duration::from_millis(200) };
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(accept::serve(listener, router, limits, stopped));

    // A head that never ends is cut although a byte comes now and then.
    let mut slow = UnixStream::connect(&socket).await.unwrap();
    let begin = Instant::now();
    slow.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    let mut byte = [0];
    loop {
        tokio::select! {
            read = slow.read(&mut byte) => {
                if !matches!(read, Ok(1..)) { break }
            }
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                let _ = slow.write_all(b"x").await;
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(2), "a slow head is kept");
    }

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 128, hard).unwrap();
    let mut ballast = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        ballast.push(file);
    }
    // The client takes the last descriptor, so that the server has none.
    ballast.pop();
    let mut client = UnixStream::connect(&socket).await.unwrap();
    let before = cpu();
    let mut all = Vec::new();
    tokio::time::timeout(Duration::from_secs(2), client.read_to_end(&mut all)).await.unwrap().unwrap();
    let reply = Answer::parse(&all);
    assert_eq!((reply.status, reply.json()["code"].as_i64()), (503, Some(-33011)));
    // Another client waits in the queue now and then; the loop must sleep between its attempts.
    for _ in 0..10 {
        drop(client);
        client = UnixStream::connect(&socket).await.unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert!(cpu() - before < Duration::from_millis(200), "it spins: {:?} of CPU", cpu() - before);
    drop((client, ballast));
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert_eq!(request(&socket, "GET", "/health", "", b"").await.status, 200);

    let _ = stop.send(());
    server.await.unwrap().shutdown().await;
}
