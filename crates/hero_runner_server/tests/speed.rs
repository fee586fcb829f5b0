//! Measurements, not checks: `cargo test --release -p hero_runner_server --test speed -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod stand_in;

use std::time::{Duration, Instant};

use api::LogKind;
use hero_runner_server::sse;
use supervisor::logs::{Batch, Line};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

#[test]
#[ignore = "it measures"]
fn encoding_of_lines() {
    for (name, byte) in [("plain", b'x'), ("half escapes", b'"')] {
        let mut text = vec![b'x'; 100];
        text.iter_mut().skip(1).step_by(2).for_each(|place| *place = byte);
        let line =
            Line { ts_ms: 1_700_000_000_123, kind: LogKind::Stdout, partial: false, bytes: text.into() };
        let batch = Batch::new(1_000_000, vec![line; 1000]);
        let (mut best, mut bytes) = (Duration::MAX, 0);
        for _ in 0..200 {
            let begin = Instant::now();
            bytes = sse::lines(&batch, batch.first_seq).len();
            best = best.min(begin.elapsed());
        }
        let rate = 1000.0 / best.as_secs_f64();
        println!(
            "{name}: {:.2} M lines of 100 bytes a second, {} bytes of output each",
            rate / 1e6,
            bytes / 1000
        );
    }
}

/// Percentiles of round trips on one connection: a server on a thread and a client on another.
async fn round_trips(path: &std::path::Path, request: &[u8], count: usize) -> (f64, f64, f64) {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let mut times = Vec::with_capacity(count);
    let begin = Instant::now();
    for _ in 0..count {
        let one = Instant::now();
        stream.write_all(request).await.unwrap();
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        times.push(one.elapsed().as_secs_f64() * 1e6);
    }
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    (times[count / 2], times[count * 99 / 100], rate)
}

#[test]
#[ignore = "it measures"]
fn round_trip_of_session_get() {
    let body = r#"{"jsonrpc":"2.0","method":"session_get","params":{"session_id":"ses-7f3a"},"id":1}"#;
    let request = format!(
        "POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let server = stand_in::start(|_| {});
            let echo = server.socket().with_file_name("echo");
            let listener = tokio::net::UnixListener::bind(&echo).unwrap();
            sender.send((server.socket(), echo)).unwrap();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(size @ 1..) = stream.read(&mut buffer).await {
                        if stream.write_all(&buffer[..size]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
    });
    let (rpc, echo) = receiver.recv().unwrap();
    runtime().block_on(async {
        for _ in 0..5 {
            for (name, path) in [("echo", &echo), ("session_get", &rpc)] {
                let (p50, p99, rate) = round_trips(path, request.as_bytes(), 50_000).await;
                println!("{name:12} p50 {p50:.1} us, p99 {p99:.1} us, {rate:.0} calls/s");
            }
        }
    });
}
