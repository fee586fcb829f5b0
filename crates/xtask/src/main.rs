//! `cargo xtask`: the project's own tasks.

mod bench;
mod screenshots;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "hero_runner's own tasks")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Writes openrpc.json from the Rust types.
    Openrpc,
    /// Takes pictures of every page of the dashboard, in both themes and two widths.
    #[command(after_help = screenshots::HELP)]
    Screenshots(screenshots::Options),
    /// Measures against floors and rivals, all in one run; prints a table and draws a chart.
    #[command(after_help = bench::HELP)]
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
}

fn main() -> Result<()> {
    match Args::parse().task {
        Task::Openrpc => {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openrpc.json");
            std::fs::write(path, api::openrpc::text()).with_context(|| format!("cannot write {path}"))
        }
        Task::Screenshots(options) => screenshots::run(&options),
        Task::Bench { what } => bench::run(what),
    }
}
