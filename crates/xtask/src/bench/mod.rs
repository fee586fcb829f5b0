//! The benchmarks. Each measures ours, its floor and its peers in one run, interleaved in rounds, and prints
//! ratios: absolute numbers of a shared machine say little.

mod floor;
mod logs;
mod sample;
mod server;
mod sessions;

use anyhow::Result;
use clap::Subcommand;

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum What {
    /// From session_start to the result: one client, and eight.
    Sessions {
        /// Rounds; each holds a block of everything that is compared.
        #[arg(long, default_value_t = 11)]
        rounds: usize,
    },
    /// Lines per second from a flooding guest into the history and one SSE reader.
    Logs {
        /// Lines of 100 bytes in each round.
        #[arg(long, default_value_t = 2_000_000)]
        lines: u64,
        /// Rounds.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
}

pub(crate) fn run(what: What) -> Result<()> {
    // The client shares its machine with the server: one thread each is how a caller of few sessions looks.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match what {
            What::Sessions { rounds } => sessions::run(rounds).await,
            What::Logs { lines, rounds } => logs::run(lines, rounds).await,
        }
    })
}
