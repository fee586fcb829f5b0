//! `hero_runner wait`.

use std::time::{Duration, Instant};

use api::method::SessionWaitMethod;
use api::session::{SessionResult, SessionWait, Waited};

use super::run::ready;
use super::session_id;
use crate::cli::{duration, millis};
use crate::{Context, exit, text};

/// The longest that the server lets one call wait is 600 s; shorter calls notice a lost connection earlier.
const STEP: Duration = Duration::from_secs(60);

/// Wait until a session ended, or is ready.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id, or the beginning of it
    #[arg(value_name = "ID", value_parser = session_id)]
    id: String,
    /// Give up after this time, with exit code 124; the session goes on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Wait until it is ready, with exit code 0; else until it ended
    #[arg(long)]
    ready: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    if args.ready {
        return until_ready(context, args).await;
    }
    match until_end(&context.client, &args.id, args.timeout).await? {
        Some(result) => {
            if context.console.json {
                context.console.json(&result)?;
            } else {
                context.console.say(&text::plain(&format!("{} {}", args.id, result.outcome)))?;
            }
            Ok(exit::code(&result.outcome))
        }
        None => {
            context.console.note(&format!("{} still runs", args.id));
            Ok(exit::TIMED_OUT)
        }
    }
}

async fn until_ready(context: &Context, args: Args) -> anyhow::Result<u8> {
    match ready::until(&context.client, &args.id, args.timeout).await? {
        Some(Waited::Ready(ready)) => {
            if context.console.json {
                context.console.json(&ready)?;
            } else {
                context.console.say(&format!("{} is ready", args.id))?;
            }
            Ok(0)
        }
        Some(Waited::Ended(result)) => {
            context.console.note(&text::plain(&format!("{} {}", args.id, result.outcome)));
            Ok(exit::code(&result.outcome).max(1))
        }
        None => {
            context.console.note(&format!("{} is not ready", args.id));
            Ok(exit::TIMED_OUT)
        }
    }
}

/// The result of a session, or none when the time ran out first.
async fn until_end(
    client: &client::Client,
    id: &str,
    timeout: Option<Duration>,
) -> client::Result<Option<SessionResult>> {
    let begun = Instant::now();
    loop {
        let left = timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
        let step = left.map_or(STEP, |left| left.min(STEP));
        let wait_ms = Some(millis(step));
        let request = SessionWait { session_id: id.to_owned(), wait_ms, ..SessionWait::default() };
        let result = match client.call::<SessionWaitMethod>(request).await? {
            Some(Waited::Ended(result)) => Some(result),
            Some(Waited::Ready(_)) | None => None,
        };
        if result.is_some() || left.is_some_and(|left| left <= step) {
            return Ok(result);
        }
    }
}
