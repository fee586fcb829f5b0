//! `cargo xtask bench logs`: from a flooding guest to the history and the readers of its log.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;

use super::Bench;
use super::chart::{self, Panel};
use super::jobs;
use super::rounds::{BLOCK, Pacing, Rounds};
use super::sample::Sample;
use super::server::{Server, Setup};
use super::sse::Reader;
use super::table::{Table, number};

const READERS: [usize; 3] = [1, 10, 100];

const SINGLE: &str = "floor: one write(2) a line | cat | cat";
const BATCHED: &str = "floor: one write(2) for 64 lines | cat | cat";
const LINEWISE: &str = "ours: one fd_write a line, history and one SSE reader, none lost";
const BUFFERED: &str = "ours: one fd_write for 640 lines, history and one SSE reader, none lost";

fn fan_name(readers: usize) -> String {
    format!("floor: 64 lines with each write(2) to {readers} sockets")
}

fn flood_name(readers: usize) -> String {
    format!("ours: {readers} SSE readers")
}

fn latency_name(readers: usize) -> String {
    format!("latency, {readers} SSE readers")
}

pub(crate) fn run(bench: &Bench, lines: u64) -> Result<()> {
    let lines = bench.options.pick(lines, 20_000);
    // The history keeps all of a flood, so that "none lost" can be seen at the reader; older floods go.
    let bytes = lines * 160;
    let server = Setup::default()
        .set("history_session_bytes", bytes)
        .set("history_total_bytes", bytes * 2)
        .set("output_limit_bytes", bytes)
        .start()?;
    server.compiled("faulty_flood")?;
    server.compiled("echo")?;
    let resident =
        || anyhow::Ok(server.call("stats", &json!({}))?["server_rss_kb"].as_f64().unwrap_or(f64::NAN));
    let before = resident()?;
    let server = &server;
    let floor = bench.floors.fixed.display().to_string();
    let mut rounds = Rounds::new(bench);
    for (name, batch) in [(SINGLE, "1"), (BATCHED, "64")] {
        let script = format!("'{floor}' lines {lines} {batch} | cat | cat > /dev/null");
        rounds.add(name, move || timed(lines, || shell(&script)));
    }
    for (name, args) in [(LINEWISE, &["--unbuffered"][..]), (BUFFERED, &[])] {
        rounds.add(name, move || flood(server, args, lines, 1));
    }
    let mut peak = before;
    for readers in READERS {
        // Many readers get fewer lines each, so that a block of them does not take minutes.
        let count = (lines / readers as u64).max(lines / 20);
        let script = format!("'{floor}' fan {count} {readers}");
        rounds.add(fan_name(readers), move || timed(count * readers as u64, || shell(&script)));
        rounds.add(flood_name(readers), move || flood(server, &[], count, readers));
        rounds.add(latency_name(readers), move || latency(server, readers));
    }
    rounds.add("resident", || {
        let now = resident()?;
        peak = peak.max(now);
        Ok(Sample::from(now))
    });
    let measured = rounds.run()?;

    println!("## Logs\n\n{}", measured.note());
    println!("{lines} lines of 100 bytes in a flood, from session_start to the `end` event; back to back.\n");
    let mut table = Table::new(&["what", "lines/s", "ours / floor"]);
    for (name, floor) in
        [(SINGLE, None), (LINEWISE, Some(SINGLE)), (BATCHED, None), (BUFFERED, Some(BATCHED))]
    {
        let series = measured.series(name);
        let ratio = floor.map(|floor| series.over(&measured.series(floor)).to_string());
        table.row([name.to_owned(), number(series.p50()), ratio.unwrap_or_default()]);
    }
    println!("{table}");
    let mut table = Table::new(&[
        "SSE readers",
        "deliveries/s, none lost",
        "floor: write(2) of 64 lines to as many sockets, deliveries/s",
        "ours / floor",
        "line at the last reader, µs p50",
        "p99",
    ]);
    for readers in READERS {
        let [ours, floor, late] = [flood_name(readers), fan_name(readers), latency_name(readers)]
            .map(|name| measured.series(&name));
        table.row([
            readers.to_string(),
            number(ours.p50()),
            number(floor.p50()),
            ours.over(&floor).to_string(),
            number(late.p50()),
            number(late.p99()),
        ]);
    }
    println!(
        "Several readers of one flood, each a thread beside the server that checks every line's number. The latency is from \
         the call of session_stdin, 2-3 ms apart, through a guest that echoes, to the reader that has the line last.\n\n{table}"
    );
    println!("Server: {} kB resident before, {} kB at most between blocks.\n", number(before), number(peak));

    let line = |text: &str, name: fn(usize) -> String| {
        (text.to_owned(), READERS.map(|readers| measured.series(&name(readers)).p50()).to_vec())
    };
    let steps = || READERS.map(|readers| readers.to_string()).to_vec();
    let panels = [
        Panel::Bars {
            title: "Lines a second".to_owned(),
            logarithmic: false,
            bars: [SINGLE, LINEWISE, BATCHED, BUFFERED]
                .map(|name| (name.replace(", none lost", ""), measured.series(name).p50()))
                .to_vec(),
        },
        Panel::Lines {
            title: "Deliveries a second".to_owned(),
            steps: steps(),
            below: "SSE readers",
            lines: vec![line("ours", flood_name), line("floor: bare writes to as many sockets", fan_name)],
        },
        Panel::Lines {
            title: "A line at the last reader, µs p50".to_owned(),
            steps: steps(),
            below: "SSE readers",
            lines: vec![line("ours, from session_stdin through an echoing guest", latency_name)],
        },
    ];
    chart::draw(&bench.options.out.join("logs.svg"), &panels)
}

fn shell(script: &str) -> Result<()> {
    ensure!(
        Command::new("sh").args(["-c", script]).stdin(Stdio::null()).status()?.success(),
        "{script} failed"
    );
    Ok(())
}

fn timed(lines: u64, work: impl FnOnce() -> Result<()>) -> Result<Sample> {
    let begin = Instant::now();
    work()?;
    Ok(Sample::from(lines as f64 / begin.elapsed().as_secs_f64()))
}

/// Runs the flooding guest with readers; line deliveries per second until the last reader has the end.
fn flood(server: &Server, args: &[&str], lines: u64, readers: usize) -> Result<Sample> {
    let connect = |_| Reader::connect(&server.socket);
    let mut connections = (0..readers).map(connect).collect::<Result<Vec<_>>>()?;
    let count = lines.to_string();
    let args = [&[count.as_str()], args].concat();
    let params = json!({ "module": "faulty_flood", "args": args });
    let mut rpc = server.rpc()?;
    let begin = Instant::now();
    let started = rpc.call("session_start", &params)?;
    let id = started["session_id"].as_str().context("no id")?;
    let last = thread::scope(|scope| {
        let read = |reader: &mut Reader| {
            reader.follow(id)?;
            reader.drain(lines)
        };
        let all: Vec<_> = connections.iter_mut().map(|reader| scope.spawn(move || read(reader))).collect();
        let mut last = begin;
        for one in all {
            last = last.max(one.join().map_err(|_| anyhow!("a reader panicked"))??);
        }
        anyhow::Ok(last)
    })?;
    Ok(Sample::from(lines as f64 * readers as f64 / (last - begin).as_secs_f64()))
}

/// A line into an echoing guest; until the last reader has it.
fn latency(server: &Server, readers: usize) -> Result<Sample> {
    let ids = jobs::blocked(server, &json!({ "module": "echo" }), 1)?;
    let id = ids[0].as_str().context("no id")?;
    let connect = |_| Reader::connect(&server.socket);
    let mut connections = (0..readers).map(connect).collect::<Result<Vec<_>>>()?;
    for reader in &mut connections {
        reader.follow(id)?;
    }
    let mut rpc = server.rpc()?;
    let request = super::rpc::request("session_stdin", &json!({ "session_id": id, "data": "x\n" }));
    let mut sample = Sample::default();
    for line in 0..=BLOCK {
        Pacing::Paced.rest();
        let (begin, event) = (Instant::now(), format!("id: {line}\n"));
        rpc.exchange(&request)?;
        for reader in &mut connections {
            reader.until(&event, &mut Vec::new())?;
        }
        // The first one is for everybody to have arrived.
        if line > 0 {
            sample.push(begin.elapsed().as_secs_f64() * 1e6);
        }
    }
    jobs::stop(server, &ids)?;
    Ok(sample)
}
