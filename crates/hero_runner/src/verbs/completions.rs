//! `hero_runner completions`.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::Context;
use crate::cli::Cli;

/// Print the completions for a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(context: &Context, args: &Args) -> anyhow::Result<u8> {
    let mut text = Vec::new();
    generate(args.shell, &mut Cli::command(), "hero_runner", &mut text);
    context.console.print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}
