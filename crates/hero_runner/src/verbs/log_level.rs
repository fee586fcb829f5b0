//! `hero_runner log-level`.

use api::admin::LogLevel;
use api::method::LogLevelMethod;

use crate::Context;

/// Show what the server logs, or change it until the server restarts or reads its settings again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// off, error, warn, info, debug or trace, or target=level pairs with commas between them
    level: Option<String>,
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let found = context.client.call::<LogLevelMethod>(LogLevel { level: args.level }).await?;
    if context.console.json {
        context.console.json(&found)?;
    } else {
        context.console.print(&format!("{}\n", found.level))?;
    }
    Ok(0)
}
