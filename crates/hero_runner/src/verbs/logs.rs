//! `hero_runner logs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::LogKind;
use api::log::{Gap, LogPage, SessionLogs};
use api::method::SessionLogsMethod;
use client::{Client, LogEvent};
use futures_util::StreamExt;

use super::session_id;
use crate::Context;
use crate::cli::millis;
use crate::render::{Choice, Sink};

/// Lines asked for at once.
const PAGE: u32 = 1000;
/// Events that are written before the output is flushed.
const BATCH: usize = 512;

/// Show what a session printed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id, or the beginning of it
    #[arg(value_name = "ID", value_parser = session_id)]
    id: String,
    /// Go on until the session ended
    #[arg(short, long)]
    follow: bool,
    /// Begin with the last lines of the log, of all kinds together
    #[arg(short = 'n', long, value_name = "COUNT", conflicts_with = "since")]
    tail: Option<u32>,
    /// Begin with lines of this age (5m) or time (2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<u64>,
    /// Only standard output
    #[arg(long)]
    stdout: bool,
    /// Only standard error
    #[arg(long, conflicts_with = "stdout")]
    stderr: bool,
    /// The time in front of every line
    #[arg(short, long)]
    timestamps: bool,
}

/// Reads an age or a point in time, as milliseconds since the Unix epoch.
fn since(text: &str) -> Result<u64, String> {
    let time = match humantime::parse_duration(text) {
        Ok(age) => SystemTime::now().checked_sub(age),
        Err(_) => humantime::parse_rfc3339_weak(text).ok(),
    };
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map(|since: Duration| millis(since)).ok_or_else(|| "say 5m, 2h, or 2026-01-31T12:00:00Z".to_owned())
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let only = match (args.stdout, args.stderr) {
        (true, _) => Some(LogKind::Stdout),
        (_, true) => Some(LogKind::Stderr),
        _ => None,
    };
    let choice =
        Choice { json: context.console.json, timestamps: args.timestamps, only, ..Choice::default() };
    let mut sink = Sink::new(choice);
    let first = SessionLogs {
        session_id: args.id.clone(),
        tail: args.tail,
        // The API counts lines after a time; a line of exactly that time is meant, too.
        after_ts_ms: args.since.map(|since| since.saturating_sub(1)),
        ..SessionLogs::default()
    };
    let from_history = args.tail.is_some() || args.since.is_some() || !args.follow;
    let last = if from_history { history(&context.client, first, &mut sink).await? } else { None };
    if args.follow {
        follow(&context.client, &args.id, last, args.since, &mut sink).await?;
    }
    Ok(0)
}

/// Writes what there is, page by page, and returns the last sequence number.
pub(super) async fn history(
    client: &Client,
    first: SessionLogs,
    sink: &mut Sink,
) -> anyhow::Result<Option<u64>> {
    let mut left = first.tail.map(|tail| tail as usize);
    let mut request = SessionLogs { limit: left.is_none().then_some(PAGE), ..first };
    loop {
        let page: LogPage = client.call::<SessionLogsMethod>(request.clone()).await?;
        // What was there before the last lines that were asked for is not missing.
        if page.gap > 0 && left.is_none() {
            let next_seq = page.lines.first().map_or(page.next_seq, |line| line.seq);
            sink.gap(Gap { missed: page.gap, next_seq })?;
        }
        let lines = &page.lines[..page.lines.len().min(left.unwrap_or(usize::MAX))];
        for line in lines {
            sink.line(line)?;
        }
        sink.flush()?;
        left = left.map(|left| left - lines.len());
        let last = page.next_seq.checked_sub(1);
        // A page may be shorter than was asked for, because its lines are long: only an empty one is the last.
        if page.end || page.lines.is_empty() && page.gap == 0 || left == Some(0) {
            return Ok(last);
        }
        request = SessionLogs { after_seq: last, after_ts_ms: None, tail: None, ..request };
    }
}

/// Writes what comes until the session ended.
pub(super) async fn follow(
    client: &Client,
    id: &str,
    after_seq: Option<u64>,
    since: Option<u64>,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    let mut batches = client.follow(id, after_seq).ready_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        for event in batch {
            match event? {
                LogEvent::Line(line) if since.is_none_or(|since| line.ts_ms >= since) => sink.line(&line)?,
                LogEvent::Gap(gap) => sink.gap(gap)?,
                LogEvent::Line(_) | LogEvent::State(_) | LogEvent::End(_) => {}
            }
        }
        sink.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_an_age_or_a_time() {
        let now = crate::text::now_ms();
        let hour = since("1h").unwrap();
        assert!((now - 3_600_000).abs_diff(hour) < 5000);
        assert_eq!(since("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000));
        assert_eq!(since("2023-11-14 22:13:20"), Ok(1_700_000_000_000));
        assert!(since("yesterday").is_err());
    }
}
