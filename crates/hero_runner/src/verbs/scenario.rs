//! `hero_runner scenario`: load tests.

mod chart;
mod parts;
mod progress;
mod run;

use clap::Subcommand;

use crate::Context;

/// Test services under load.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a scenario, with its users spread over some sessions, and print what was measured
    Run(run::Args),
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    match args.verb {
        Verb::Run(args) => run::run(context, args).await,
    }
}
