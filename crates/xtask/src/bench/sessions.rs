//! `cargo xtask bench sessions`: from `session_start` to the result over rpc.sock.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::session::SessionStart;

use super::floor::{self, Forks};
use super::sample::Sample;
use super::server::{self, Server};

/// Sessions in a block.
const BLOCK: usize = 50;

/// Processes of the peer in a block; each takes milliseconds.
const PEERS: usize = 5;

fn hello() -> SessionStart {
    SessionStart { module: "hello".to_owned(), ..SessionStart::default() }
}

pub(crate) async fn run(rounds: usize) -> Result<()> {
    let server = Server::start(&[]).await?;
    server.compiled("hello").await?;
    let zygote = server.bin.join("hero_runner_zygote");
    let mut tiny = Forks::start(&floor::build(server.dir.path(), true)?, &["fork"])?;
    let mut dynamic = Forks::start(&floor::build(server.dir.path(), false)?, &["fork"])?;
    let mut large = Forks::start(&zygote, &["--fork-floor"])?;
    let peer = Peer::prepare(&server)?;
    for _ in 0..3 {
        block(&server).await?;
    }
    let mut all: [Sample; 5] = Default::default();
    let mut medians: [Sample; 5] = Default::default();
    let mut ratios: [Sample; 4] = Default::default();
    for _ in 0..rounds {
        let round = [tiny.block()?, dynamic.block()?, large.block()?, block(&server).await?, peer.block()?];
        let ours = round[3].p50();
        for (ratio, other) in ratios.iter_mut().zip([0, 1, 2, 4]) {
            ratio.push(ours / round[other].p50());
        }
        for ((all, medians), sample) in all.iter_mut().zip(&mut medians).zip(&round) {
            all.extend(sample);
            medians.push(sample.p50());
        }
    }
    let names = [
        "floor: fork+exit+wait, static C",
        "floor: fork+exit+wait, dynamic C",
        "floor: fork+exit+wait of the zygote",
        "session_start -> result, hello, 1 client",
        "peer: one `wasmedge` process per job, same artifact",
    ];
    println!("{rounds} rounds of {BLOCK} (peer: {PEERS}), interleaved, back to back; microseconds\n");
    println!("| what | p50 | p99 | ours / it (median of rounds) |\n|---|---|---|---|");
    let mut ratio = ratios.iter();
    for (at, name) in names.iter().enumerate() {
        let told = if at == 3 {
            String::new()
        } else {
            format!("{:.3}", ratio.next().map_or(f64::NAN, Sample::p50))
        };
        println!("| {name} | {:.0} | {:.0} | {told} |", medians[at].p50(), all[at].quantile(0.99));
    }
    let (rate, forks) = (throughput(&server, 8, Duration::from_secs(3)).await?, 1e6 / medians[0].p50());
    println!(
        "\n8 clients: {rate:.0} sessions/s, history included; one static C forker alone: {forks:.0} forks/s"
    );
    let reach = 1.0 / ratios[3].p50();
    println!("one `wasmedge` process takes {reach:.0} times as long (reach: 20)");
    let stats = server.stats().await?;
    println!(
        "server {} kB resident, zygote {} kB",
        stats.server_rss_kb,
        stats.zygote_rss_kb.unwrap_or_default()
    );
    Ok(())
}

async fn block(server: &Server) -> Result<Sample> {
    let mut sample = Sample::default();
    for _ in 0..BLOCK {
        let begin = Instant::now();
        let result = server.run(hello()).await?;
        sample.push(begin.elapsed().as_secs_f64() * 1e6);
        ensure!(result.success && result.stdout == "hello, world\n", "hello answered {result:?}");
    }
    Ok(sample)
}

async fn throughput(server: &Server, clients: usize, time: Duration) -> Result<f64> {
    let (begin, mut tasks) = (Instant::now(), tokio::task::JoinSet::new());
    for _ in 0..clients {
        let client = client::Client::new(&server.socket);
        tasks.spawn(async move {
            let mut count = 0_u64;
            while begin.elapsed() < time {
                let result = server::run(&client, hello()).await?;
                ensure!(result.success, "hello answered {result:?}");
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done??;
    }
    Ok(count as f64 / begin.elapsed().as_secs_f64())
}

/// What a user would do without us: the engine's own command on a compiled module, a process for each job.
struct Peer {
    program: String,
    artifact: std::path::PathBuf,
}

impl Peer {
    fn prepare(server: &Server) -> Result<Self> {
        let installed = std::env::var("WASMEDGE_DIR").map(|dir| format!("{dir}/bin/wasmedge"));
        let program =
            installed.ok().filter(|path| Path::new(path).exists()).unwrap_or_else(|| "wasmedge".to_owned());
        let artifact = server.dir.path().join("hello.so");
        let compiled = Command::new(&program)
            .arg("compile")
            .arg(server.guests.join("hello.wasm"))
            .arg(&artifact)
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("cannot run {program}"))?;
        ensure!(compiled.success(), "{program} compile failed");
        Ok(Self { program, artifact })
    }

    fn block(&self) -> Result<Sample> {
        let mut sample = Sample::default();
        for _ in 0..PEERS {
            let begin = Instant::now();
            let output =
                Command::new(&self.program).args(["--run-mode", "aot"]).arg(&self.artifact).output()?;
            sample.push(begin.elapsed().as_secs_f64() * 1e6);
            ensure!(output.stdout == b"hello, world\n", "{} said {output:?}", self.program);
        }
        Ok(sample)
    }
}
