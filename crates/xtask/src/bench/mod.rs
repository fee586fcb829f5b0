//! The benchmarks. Each measures ours, its floors and its rivals in one run, interleaved in rounds, and prints ratios:
//! absolute numbers of a shared machine say little.

mod chart;
mod components;
mod density;
mod floor;
mod gateway;
mod guests;
mod interpreters;
mod jobs;
mod logs;
mod memory;
pub(crate) mod places;
mod processes;
mod rivals;
mod rounds;
mod rpc;
mod sample;
mod server;
mod signals;
mod sse;
mod start;
mod table;
mod throughput;
mod wire;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use floor::Floors;

/// What every benchmark needs to know.
pub(crate) const HELP: &str = "\
Programs come from target/release or HERO_BIN_DIR, guests from services/target/wasm32-wasip1/release or
HERO_RUNNER_SERVICES_DIR. The floors need a C compiler. Rivals that are not there are left out, and the table says how
to get them:
  wasmedge   WASMEDGE_DIR or the path
  wasmtime   HERO_BENCH_WASMTIME, ~/.cache/hero_runner/bench/wasmtime or the path
  rival      built from crates/xtask/rival; needs the wasmtime command to compile its module
  peer       built from crates/xtask/peer for wasm32-wasip2; needs the wasmtime command to serve and to run it
  nginx      the path, or fetched from Debian's packages into ~/.cache/hero_runner/bench
wrk, which asks the gateway, comes from the path or is fetched in the same way. scripts/components.sh builds the load generator.
CPython and QuickJS are cpython.wasm and quickjs.wasm in HERO_REAL_GUESTS_DIR or ~/.cache/hero_runner/guests, as
scripts/fetch_real_guests.sh brings them; what was compiled of them is kept in ~/.cache/hero_runner/bench.";

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum What {
    /// From session_start to the result: warm, parked and cold; how it grows, and beside guests that burn every core.
    Start(Options),
    /// Sessions per second with 1 to 64 clients.
    Throughput(Options),
    /// CPython and QuickJS: a script's first output and its end, and what the memory of a warm image costs.
    Interpreters(Options),
    /// Lines per second from a flooding guest to the readers of its log, and how late the last of them has a line.
    Logs {
        #[command(flatten)]
        options: Options,
        /// Lines of 100 bytes in each flood.
        #[arg(long, default_value_t = 1_000_000)]
        lines: u64,
    },
    /// Idle sessions in a GiB.
    Density(Options),
    /// Requests per second to a service: straight, through the gateway, through nginx; and to a handler.
    #[command(mut_arg("rounds", |rounds| rounds.default_value("7")))]
    Gateway(Options),
    /// Components: a session beside `wasmtime run`, a handler beside `wasmtime serve`, a scenario's load beside wrk's.
    #[command(mut_arg("rounds", |rounds| rounds.default_value("7")))]
    Components(Options),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Rounds that have to count; each holds a block of everything that is compared.
    #[arg(long, default_value_t = 11)]
    pub(crate) rounds: usize,
    /// Two rounds and small numbers: shows that everything runs, and measures nothing.
    #[arg(long)]
    pub(crate) quick: bool,
    /// The folder for the chart.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance"))]
    pub(crate) out: PathBuf,
}

impl Options {
    /// The number that is measured with, or the small one.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// What a benchmark gets: its options, the floors, and a folder that goes away with it.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) floors: Floors,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn run(what: What) -> Result<()> {
    signals::watch()?;
    let bench = |options: &Options| -> Result<Bench> {
        let dir = tempfile::Builder::new().prefix("hrb").tempdir()?;
        let mut options = options.clone();
        options.rounds = options.pick(options.rounds, 2).max(1);
        Ok(Bench { options, floors: Floors::build(dir.path())?, dir })
    };
    match what {
        What::Start(options) => start::run(&bench(&options)?),
        What::Throughput(options) => throughput::run(&bench(&options)?),
        What::Interpreters(options) => interpreters::run(&bench(&options)?),
        What::Logs { options, lines } => logs::run(&bench(&options)?, lines),
        What::Density(options) => density::run(&bench(&options)?),
        What::Gateway(options) => gateway::run(&bench(&options)?),
        What::Components(options) => components::run(&bench(&options)?),
    }
}
