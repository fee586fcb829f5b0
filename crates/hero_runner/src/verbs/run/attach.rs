//! A session in the foreground: its output here, our signals there, its end as our exit code.

use std::io;

use api::Outcome;
use api::log::EndEvent;
use api::method::{SessionResultMethod, SessionStopMethod};
use api::session::{SessionRef, SessionStop};
use client::LogEvent;
use futures_util::StreamExt;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::render::{Choice, Sink};
use crate::{Context, exit, text};

/// Events that are written before the output is flushed.
const BATCH: usize = 512;

/// The signals that ask us to stop.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on these signals no longer end the process.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next of them.
    pub(crate) async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hang_up.recv() => SignalKind::hangup(),
        };
        kind.as_raw_value()
    }
}

/// Streams a session until it ended, and prints what the function that it `invokes` has returned. A signal that came before
/// it could be stopped counts as the first one.
pub(crate) async fn run(
    context: &Context,
    id: &str,
    mut signals: Signals,
    earlier: Option<i32>,
    invokes: bool,
) -> anyhow::Result<u8> {
    let mut sink = Sink::new(Choice { json: context.console.json, ..Choice::default() });
    let mut batches = context.client.follow(id, None).ready_chunks(BATCH);
    let mut asked = earlier.map(|signal| {
        stop_aside(context, id, None);
        (exit::by_signal(signal), 1)
    });
    let end = loop {
        tokio::select! {
            batch = batches.next() => {
                let Some(batch) = batch else { break None };
                match write(&mut sink, batch)? {
                    Written::More => {}
                    Written::End(end) => break Some(end),
                    // Nobody reads any more: a program that wrote to the pipe itself would be gone, too.
                    Written::NoReader => {
                        stop(context, id, None).await;
                        return Ok(exit::BROKEN_PIPE);
                    }
                }
            }
            signal = signals.next() => match asked {
                None => {
                    asked = Some((exit::by_signal(signal), 1));
                    stop_aside(context, id, None);
                }
                Some((code, 1)) => {
                    asked = Some((code, 2));
                    stop_aside(context, id, Some(0));
                }
                Some((code, _)) => {
                    context.console.note(&format!("{id} is left as it is"));
                    return Ok(code);
                }
            },
        }
    };
    let Some(end) = end else {
        anyhow::bail!("the log of {id} stopped without its end");
    };
    if context.console.json {
        let result =
            context.client.call::<SessionResultMethod>(SessionRef { session_id: id.to_owned() }).await?;
        context.console.print(&format!("{}\n", json!({ "session_id": id, "result": result })))?;
    }
    match asked {
        Some((code, _)) => Ok(code),
        None => {
            if let Outcome::Returned { ok } = end.outcome
                && invokes
                && !context.console.json
            {
                returned(context, id, ok).await?;
            }
            explain(context, id, &end.outcome);
            Ok(exit::code(&end.outcome))
        }
    }
}

/// What came of writing.
pub(super) enum Written {
    More,
    End(EndEvent),
    NoReader,
}

/// Writes what came.
pub(super) fn write(sink: &mut Sink, batch: Vec<client::Result<LogEvent>>) -> anyhow::Result<Written> {
    let mut end = None;
    let deliver = || {
        for event in batch {
            match event? {
                LogEvent::Line(line) => sink.line(&line)?,
                LogEvent::Gap(gap) => sink.gap(gap)?,
                LogEvent::State(_) => {}
                LogEvent::End(event) => end = Some(event),
            }
        }
        sink.flush()?;
        anyhow::Ok(())
    };
    match deliver() {
        Ok(()) => Ok(end.map_or(Written::More, Written::End)),
        Err(error) => match error.downcast_ref::<io::Error>() {
            Some(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(Written::NoReader),
            _ => Err(error),
        },
    }
}

/// Prints the value of the invoked function: to standard error when it is an error.
async fn returned(context: &Context, id: &str, ok: bool) -> anyhow::Result<()> {
    let result = context.client.call::<SessionResultMethod>(SessionRef { session_id: id.to_owned() }).await?;
    let value = result.and_then(|result| result.value).unwrap_or_default();
    if ok {
        return context.console.print(&format!("{value}\n"));
    }
    eprintln!("{value}");
    Ok(())
}

pub(super) async fn stop(context: &Context, id: &str, grace_ms: Option<u64>) {
    let request = SessionStop { session_id: id.to_owned(), grace_ms };
    if let Err(error) = context.client.call::<SessionStopMethod>(request).await {
        context.console.note(&format!("cannot stop {id}: {error}"));
    }
}

/// Stops the session while its last lines still arrive.
fn stop_aside(context: &Context, id: &str, grace_ms: Option<u64>) {
    let context = Context { client: context.client.clone(), console: context.console };
    let id = id.to_owned();
    tokio::spawn(async move { stop(&context, &id, grace_ms).await });
}

/// Says what the exit code alone does not.
fn explain(context: &Context, id: &str, outcome: &Outcome) {
    if !matches!(outcome, Outcome::Exited { .. } | Outcome::Returned { ok: true }) {
        context.console.note(&text::plain(&format!("{id} {outcome}")));
    }
}
