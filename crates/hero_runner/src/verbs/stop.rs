//! `hero_runner stop`.

use std::time::Duration;

use api::method::{SessionStopAllMethod, SessionStopMethod};
use api::session::{SessionStop, SessionStopAll};
use futures_util::future::join_all;
use serde_json::json;

use super::session_id;
use crate::cli::{duration, millis};
use crate::{Context, failure};

/// Stop sessions.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Their ids, or the beginnings of them
    #[arg(required_unless_present = "all", value_name = "ID", value_parser = session_id)]
    ids: Vec<String>,
    /// Stop every session but the processes of services
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// With --all: only sessions of this module
    #[arg(long, requires = "all", value_name = "MODULE")]
    module: Option<String>,
    /// With --all: only sessions with this label
    #[arg(long, requires = "all", value_name = "NAME[=VALUE]")]
    label: Option<String>,
    /// How long after SIGTERM they are killed
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    grace: Duration,
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let grace_ms = Some(millis(args.grace));
    if args.all {
        let request = SessionStopAll { module: args.module, label: args.label, grace_ms };
        let found = context.client.call::<SessionStopAllMethod>(request).await?;
        if context.console.json {
            context.console.json(&found)?;
        } else {
            context.console.say(&format!("{} stopped", found.stopped))?;
        }
        return Ok(0);
    }
    // All at once: each may take its whole grace.
    let stops = args.ids.iter().map(|id| {
        let request = SessionStop { session_id: id.clone(), grace_ms };
        async move { (id, context.client.call::<SessionStopMethod>(request).await) }
    });
    let mut stopped = Vec::new();
    let mut code = 0;
    for (id, result) in join_all(stops).await {
        match result {
            Ok(_) => stopped.push(id),
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("cannot stop {id}"));
                code = failure::report(&context.console, &error, 1);
            }
        }
    }
    if context.console.json {
        context.console.json(&json!({ "stopped": stopped }))?;
    } else {
        for id in stopped {
            context.console.say(id)?;
        }
    }
    Ok(code)
}
