//! `cargo xtask bench logs`: lines per second from a flooding guest into the history and one SSE reader.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use api::method::SessionStartMethod;
use api::session::SessionStart;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::floor;
use super::sample::Sample;
use super::server::Server;

pub(crate) async fn run(lines: u64, rounds: usize) -> Result<()> {
    // The history keeps all of it, so that "none lost" can be seen at the reader.
    let bytes = (lines * 160).to_string();
    // Older floods go, as they would in a server that runs for long.
    let total = (lines * 160 * 2).to_string();
    let server = Server::start(&[
        ("HERO_RUNNER_HISTORY_SESSION_BYTES", &bytes),
        ("HERO_RUNNER_HISTORY_TOTAL_BYTES", &total),
        ("HERO_RUNNER_OUTPUT_LIMIT_BYTES", &bytes),
    ])
    .await?;
    server.compiled("faulty_flood").await?;
    let floor = floor::build(server.dir.path(), true)?;
    let before = server.stats().await?.server_rss_kb;
    let mut peak = before;
    let (mut cat, mut single, mut batched) = (Sample::default(), Sample::default(), Sample::default());
    let mut ratios = Sample::default();
    for _ in 0..rounds {
        let count = lines.to_string();
        let begin = Instant::now();
        let script = format!("'{}' lines {count} | cat | cat > /dev/null", floor.display());
        ensure!(
            Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).status()?.success(),
            "cat failed"
        );
        let raw = lines as f64 / begin.elapsed().as_secs_f64();
        cat.push(raw);
        let ours = flood(&server, &[&count, "--unbuffered"], lines).await?;
        single.push(ours);
        ratios.push(ours / raw);
        batched.push(flood(&server, &[&count], lines).await?);
        peak = peak.max(server.stats().await?.server_rss_kb);
    }
    println!(
        "{rounds} rounds of {lines} lines of 100 bytes, interleaved; lines per second (median of rounds)\n"
    );
    println!("| what | lines/s |\n|---|---|");
    println!("| floor: one write(2) a line \\| cat \\| cat | {:.0} |", cat.p50());
    println!("| guest, one fd_write a line -> history + one SSE reader, none lost | {:.0} |", single.p50());
    println!("| guest, buffered -> history + one SSE reader, none lost | {:.0} |", batched.p50());
    println!("\nours / floor, line by line: {:.3} (reach: 300,000 lines/s)", ratios.p50());
    println!("server: {before} kB resident before, {peak} kB at most between rounds");
    Ok(())
}

/// Runs the flooding guest with an SSE reader; returns lines per second from the start to the `end` event.
async fn flood(server: &Server, args: &[&str], lines: u64) -> Result<f64> {
    let begin = Instant::now();
    let request = SessionStart {
        module: "faulty_flood".to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        ..SessionStart::default()
    };
    let id = server.client.call::<SessionStartMethod>(request).await?.session_id;
    let mut stream = UnixStream::connect(&server.socket).await?;
    // HTTP/1.0 has no chunks, so what comes is the stream itself.
    let ask = format!("GET /sse/session/{id} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let (mut buffer, mut count, mut carry) = (vec![0; 1 << 20], Counter::default(), Vec::new());
    loop {
        let got = stream.read(&mut buffer).await?;
        if got == 0 {
            break;
        }
        count.take(&buffer[..got], &mut carry);
    }
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(count.ended, "the stream broke off after {} lines", count.lines);
    ensure!(
        count.lines == lines && count.in_order,
        "{} lines of {lines} came, in order: {}",
        count.lines,
        count.in_order
    );
    Ok(lines as f64 / seconds)
}

/// Counts events and checks that their numbers have no hole.
#[derive(Debug)]
struct Counter {
    lines: u64,
    in_order: bool,
    ended: bool,
}

impl Default for Counter {
    fn default() -> Self {
        Self { lines: 0, in_order: true, ended: false }
    }
}

impl Counter {
    fn take(&mut self, bytes: &[u8], carry: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            if carry.is_empty() {
                self.line(line);
            } else {
                carry.extend_from_slice(line);
                self.line(&std::mem::take(carry));
            }
            rest = &after[1..];
        }
        carry.extend_from_slice(rest);
    }

    fn line(&mut self, line: &[u8]) {
        if let Some(number) = line.strip_prefix(b"id: ") {
            let number = std::str::from_utf8(number).ok().and_then(|text| text.parse::<u64>().ok());
            self.in_order &= number == Some(self.lines);
            self.lines += 1;
        }
        self.ended |= line == b"event: end";
    }
}
