//! `hero_runner drain`.

use api::admin::ServerDrain;
use api::method::ServerDrainMethod;

use crate::Context;

/// Have the server take no new session, or take them again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take new sessions again
    #[arg(long)]
    off: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let found = context.client.call::<ServerDrainMethod>(ServerDrain { on: !args.off }).await?;
    if context.console.json {
        context.console.json(&found)?;
    } else if found.draining {
        context.console.say(&format!("drained: no new session is taken; {} go on", found.running))?;
    } else {
        context.console.say("new sessions are taken")?;
    }
    Ok(0)
}
