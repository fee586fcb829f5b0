//! A session's log as a stream that survives broken connections.

use std::collections::VecDeque;
use std::time::Duration;

use api::LogLine;
use api::log::{EndEvent, Gap, StateEvent};
use futures_util::stream::{BoxStream, StreamExt, unfold};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{StatusCode, header};
use percent_encoding::utf8_percent_encode;
use serde::de::DeserializeOwned;

use crate::call::{SEGMENT, finish, request, resource};
use crate::connection::{Sender, full};
use crate::sse::{Event, Parser};
use crate::{Client, Error, Result};

/// Something that happened in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// It printed a line.
    Line(LogLine),
    /// Lines are missing here.
    Gap(Gap),
    /// It changed its state.
    State(StateEvent),
    /// It ended; nothing follows.
    End(EndEvent),
}

/// What [`Client::follow`] returns.
pub type LogStream = BoxStream<'static, Result<LogEvent>>;

/// Broken connections in a row, without a line between them, after which the stream gives up. With the delays
/// below that is about eleven seconds: long enough for a server to be restarted.
const FAILURES_MAX: u32 = 10;
const DELAY_MIN: Duration = Duration::from_millis(50);
const DELAY_MAX: Duration = Duration::from_secs(2);

struct Live {
    body: Incoming,
    parser: Parser,
    // Dropping it would tell the connection that nobody is there any more.
    _sender: Sender,
}

struct Follow {
    client: Client,
    path: String,
    /// The last sequence number that was delivered, or that is known to be lost.
    last: Option<u64>,
    connected_once: bool,
    live: Option<Live>,
    ready: VecDeque<LogEvent>,
    failures: u32,
    over: bool,
    last_gap: Option<Gap>,
}

impl Client {
    /// Follows a session's log: what there is after `after_seq` (or from the beginning), then every line as it
    /// is printed, until the session ended.
    ///
    /// A connection that breaks is replaced, and the log resumed behind the last line, so that none is lost or
    /// delivered twice. The stream ends after [`LogEvent::End`], or after the first error.
    #[must_use]
    pub fn follow(&self, session_id: &str, after_seq: Option<u64>) -> LogStream {
        let follow = Follow {
            client: self.clone(),
            path: format!("/sse/session/{}", utf8_percent_encode(session_id, SEGMENT)),
            last: after_seq,
            connected_once: false,
            live: None,
            ready: VecDeque::new(),
            failures: 0,
            over: false,
            last_gap: None,
        };
        unfold(follow, |mut follow| async move { follow.next().await.map(|item| (item, follow)) }).boxed()
    }
}

impl Follow {
    async fn next(&mut self) -> Option<Result<LogEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.step().await {
                self.over = true;
                return Some(Err(error));
            }
        }
    }

    /// Connects, or reads one piece. An error is final.
    async fn step(&mut self) -> Result<()> {
        let Some(live) = &mut self.live else {
            return match self.connect().await {
                Ok(live) => {
                    self.connected_once = true;
                    self.live = live;
                    Ok(())
                }
                Err(error @ (Error::NotRunning { .. } | Error::Io { .. })) if self.connected_once => {
                    self.failed(error).await
                }
                Err(error) => Err(error),
            };
        };
        let broken = match live.body.frame().await {
            Some(Ok(frame)) => {
                let Ok(bytes) = frame.into_data() else { return Ok(()) };
                let mut events = Vec::new();
                let fed = live.parser.feed(&bytes, &mut events);
                for event in events {
                    self.accept(&event)?;
                }
                return fed.map_err(|_| Error::Protocol(format!("{} sent an endless event", self.path)));
            }
            Some(Err(error)) => std::io::Error::other(error),
            None => std::io::ErrorKind::UnexpectedEof.into(),
        };
        self.live = None;
        let what = format!("the log stream from {} broke", self.client.socket().display());
        self.failed(Error::io(what, broken)).await
    }

    async fn failed(&mut self, error: Error) -> Result<()> {
        self.failures += 1;
        if self.failures > FAILURES_MAX {
            return Err(error);
        }
        let delay = DELAY_MIN.saturating_mul(1 << (self.failures - 1)).min(DELAY_MAX);
        tokio::time::sleep(delay).await;
        Ok(())
    }

    async fn connect(&mut self) -> Result<Option<Live>> {
        let mut builder = request(hyper::Method::GET, &self.path).header(header::ACCEPT, "text/event-stream");
        if let Some(last) = self.last {
            builder = builder.header("last-event-id", last);
        }
        let (sender, response) = self.client.pool.open(finish(builder, full(""))?).await?;
        match response.status() {
            StatusCode::OK => {
                Ok(Some(Live { body: response.into_body(), parser: Parser::default(), _sender: sender }))
            }
            // The way in which a server tells that there is nothing to come back for.
            StatusCode::NO_CONTENT => {
                self.over = true;
                Ok(None)
            }
            status => {
                let (_, body) = self.client.pool.read(response).await?;
                let what = format!("GET {}", self.path);
                resource::<serde_json::Value>(&what, status, &body)?;
                Err(Error::Protocol(format!("{what} was answered with {status}")))
            }
        }
    }

    fn accept(&mut self, event: &Event) -> Result<()> {
        if self.over {
            return Ok(());
        }
        match event.name.as_str() {
            "stdout" | "stderr" | "host" => {
                let line: LogLine = decode(event)?;
                if self.last.is_some_and(|last| line.seq <= last) {
                    return Ok(());
                }
                self.last = Some(line.seq);
                self.failures = 0;
                self.ready.push_back(LogEvent::Line(line));
            }
            "gap" => {
                let gap: Gap = decode(event)?;
                let lost = gap.next_seq.checked_sub(1);
                // A gap that was reported before the connection broke is reported again after it. One at the
                // last line itself is news all the same: lines beyond a limit take no sequence number.
                if lost < self.last || self.last_gap == Some(gap) {
                    return Ok(());
                }
                self.last = lost;
                self.last_gap = Some(gap);
                self.failures = 0;
                self.ready.push_back(LogEvent::Gap(gap));
            }
            "state" => self.ready.push_back(LogEvent::State(decode(event)?)),
            "end" => {
                self.ready.push_back(LogEvent::End(decode(event)?));
                self.over = true;
            }
            // A newer server may have more to say.
            _ => {}
        }
        Ok(())
    }
}

fn decode<T: DeserializeOwned>(event: &Event) -> Result<T> {
    serde_json::from_str(&event.data).map_err(|error| {
        Error::Protocol(format!("the log stream sent a {} that makes no sense: {error}", event.name))
    })
}
