//! Waiting until a session is ready, and leaving it running.

use std::time::Duration;

use api::Outcome;
use api::log::SessionLogs;
use api::method::{SessionLogsMethod, SessionWaitMethod};
use api::session::{SessionReady, SessionResult, SessionWait, WaitFor, Waited};
use serde_json::json;

use super::attach::{self, Signals};
use crate::cli::millis;
use crate::render::{Choice, Sink};
use crate::{Context, exit, text};

/// Shorter calls than the server allows notice a lost connection earlier.
const STEP: Duration = Duration::from_secs(60);

/// How many of its last lines are shown of a session that failed.
const LAST: u32 = 20;

/// Waits until a session is ready and prints its id; one that ends before is told with its last lines.
pub(super) async fn run(
    context: &Context,
    id: &str,
    mut signals: Signals,
    earlier: Option<i32>,
) -> anyhow::Result<u8> {
    let waited = tokio::select! {
        waited = until(&context.client, id, None) => waited?,
        signal = async { match earlier { Some(signal) => signal, None => signals.next().await } } => {
            attach::stop(context, id, None).await;
            return Ok(exit::by_signal(signal));
        }
    };
    match waited {
        Some(Waited::Ready(SessionReady { ready_ms, .. })) => {
            if context.console.json {
                context.console.json(&json!({ "session_id": id, "ready": true, "ready_ms": ready_ms }))?;
            } else {
                context.console.print(&format!("{id}\n"))?;
            }
            Ok(0)
        }
        Some(Waited::Ended(result)) => failed(context, id, &result).await,
        None => anyhow::bail!("the wait for {id} came to no end"),
    }
}

/// Waits until a session is ready or has ended; `None` when the time ran out first.
pub(crate) async fn until(
    client: &client::Client,
    id: &str,
    timeout: Option<Duration>,
) -> client::Result<Option<Waited>> {
    let begun = std::time::Instant::now();
    loop {
        let left = timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
        let step = left.map_or(STEP, |left| left.min(STEP));
        let (session_id, wait_ms) = (id.to_owned(), Some(millis(step)));
        let request = SessionWait { session_id, wait_ms, what: WaitFor::Ready };
        let waited = client.call::<SessionWaitMethod>(request).await?;
        if waited.is_some() || left.is_some_and(|left| left <= step) {
            return Ok(waited);
        }
    }
}

async fn failed(context: &Context, id: &str, result: &SessionResult) -> anyhow::Result<u8> {
    let last = SessionLogs { session_id: id.to_owned(), tail: Some(LAST), ..SessionLogs::default() };
    let page = context.client.call::<SessionLogsMethod>(last).await?;
    if context.console.json {
        context
            .console
            .json(&json!({ "session_id": id, "ready": false, "result": result, "lines": page.lines }))?;
    } else {
        // What was asked for, its id, is not there: its lines are part of why.
        let mut sink = Sink::new(Choice { to_stderr: true, ..Choice::default() });
        for line in &page.lines {
            sink.line(line)?;
        }
        sink.flush()?;
    }
    let before = if result.outcome == Outcome::NotReady { "" } else { " before it was ready" };
    context.console.note(&text::plain(&format!("{id} {}{before}", result.outcome)));
    Ok(exit::code(&result.outcome).max(1))
}
