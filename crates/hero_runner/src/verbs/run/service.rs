//! A service in the foreground: started, followed, and stopped with us.

use std::collections::HashSet;
use std::time::Duration;

use api::ErrorCode;
use api::method::{
    ModuleGetMethod, ServiceGetMethod, ServiceStartMethod, ServiceStopMethod, SessionStopMethod,
};
use api::module::ModuleRef;
use api::service::{ServiceInfo, ServiceRef, ServiceState};
use api::session::SessionStop;
use client::{Client, LogEvent, LogStream};
use futures_util::FutureExt;
use futures_util::stream::{SelectAll, StreamExt};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::attach::{Signals, Written, write};
use crate::failure::{self, advise};
use crate::render::{Choice, Sink};
use crate::verbs::services::state;
use crate::{Context, exit, pages, text};

/// How often to look how it stands, and for new processes.
const LOOK: Duration = Duration::from_millis(250);
/// How long the last lines may take after it has stopped.
const LAST_LINES: Duration = Duration::from_secs(3);
/// How long a service that was told to start may still be called stopped.
const BEGINS: Duration = Duration::from_secs(5);
/// Events that are written before the output is flushed.
const BATCH: usize = 512;

/// How it ended for us.
enum End {
    /// It is stopped: because we asked for it, or somebody else did.
    Stopped,
    /// It gave up; why.
    Failed(String),
    /// Nobody reads what it prints.
    NoReader,
    /// We were told to leave it as it is.
    Left,
}

pub(super) async fn run(context: &Context, name: &str, mut signals: Signals) -> anyhow::Result<u8> {
    let client = &context.client;
    let service = find(client, name).await?;
    if !matches!(service.state, ServiceState::Stopped | ServiceState::Failed) {
        return Err(advise(
            format!("service {name} runs already ({})", state(service.state)),
            format!(
                "`hero_runner services logs -f {name}` follows it, `hero_runner services stop {name}` stops it"
            ),
        ));
    }
    // What it printed before is not of this run.
    let before = pages::sessions_of(client, name, pages::MANY).await?;
    client.call::<ServiceStartMethod>(reference(name)).await?;
    let foreground = Foreground {
        context,
        name,
        sink: Sink::new(Choice { json: context.console.json, ..Choice::default() }),
        streams: SelectAll::new(),
        seen: before.into_iter().map(|session| session.session_id).collect(),
        begun: Instant::now(),
        lived: false,
        told: None,
        asked: None,
    };
    foreground.run(&mut signals).await
}

fn reference(name: &str) -> ServiceRef {
    ServiceRef { name: name.to_owned() }
}

/// The service, or what to do when there is only a module of this name.
async fn find(client: &Client, name: &str) -> anyhow::Result<ServiceInfo> {
    match client.call::<ServiceGetMethod>(reference(name)).await {
        Ok(detail) => Ok(detail.service),
        Err(error) if error.code() == Some(ErrorCode::ServiceNotFound) => {
            let module = client.call::<ModuleGetMethod>(ModuleRef { name: name.to_owned() }).await;
            Err(match module {
                Ok(_) => advise(
                    format!("{name} is a module and no service"),
                    format!(
                        "`hero_runner run {name}` runs it as a session; `hero_runner services deploy {name} --spec FILE` \
                         makes a service of it"
                    ),
                ),
                Err(_) => error.into(),
            })
        }
        Err(error) => Err(error.into()),
    }
}

struct Foreground<'a> {
    context: &'a Context,
    name: &'a str,
    sink: Sink,
    /// The logs of its sessions.
    streams: SelectAll<LogStream>,
    /// Sessions that are followed, or were there before.
    seen: HashSet<String>,
    begun: Instant,
    /// Whether it was seen to be anything but stopped.
    lived: bool,
    /// What was last told of it.
    told: Option<(ServiceState, Option<String>)>,
    /// The exit code that the first signal means, and how many signals there were.
    asked: Option<(u8, u32)>,
}

impl Foreground<'_> {
    async fn run(mut self, signals: &mut Signals) -> anyhow::Result<u8> {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            tokio::select! {
                events = batch(&mut self.streams) => {
                    if !self.write(events)? {
                        break End::NoReader;
                    }
                }
                _ = looks.tick() => {
                    if let Some(end) = self.look().await? {
                        break end;
                    }
                }
                signal = signals.next() => {
                    if let Some(end) = self.asked_to_stop(signal) {
                        break end;
                    }
                }
            }
        };
        match end {
            End::NoReader => {
                stop(self.context, self.name).await;
                Ok(exit::BROKEN_PIPE)
            }
            End::Left => {
                self.context.console.note(&format!("{} is left as it is", self.name));
                Ok(self.code())
            }
            End::Stopped | End::Failed(_) => self.finish(end).await,
        }
    }

    fn code(&self) -> u8 {
        // Stopped by somebody else: as a session that was stopped by request.
        self.asked.map_or(exit::by_signal(exit::SIGTERM), |(code, _)| code)
    }

    /// Waits for the last lines, and says how it ended.
    async fn finish(mut self, end: End) -> anyhow::Result<u8> {
        let deadline = Instant::now() + LAST_LINES;
        while !self.streams.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, batch(&mut self.streams)).await {
                Ok(events) => _ = self.write(events)?,
                Err(_) => break,
            }
        }
        let Context { console, .. } = self.context;
        if console.json {
            let (state, reason) = self.told.clone().unzip();
            console.print(&format!(
                "{}\n",
                json!({ "service": self.name, "state": state, "reason": reason.flatten() })
            ))?;
        }
        match end {
            End::Failed(reason) if self.asked.is_none() => {
                let hint =
                    format!("`hero_runner services show {}` shows its last probes and ends", self.name);
                let error = advise(text::plain(&format!("service {} failed: {reason}", self.name)), hint);
                Ok(failure::report(console, &error, 1))
            }
            _ => {
                if self.asked.is_none() {
                    console.note(&format!("{} was stopped", self.name));
                }
                Ok(self.code())
            }
        }
    }

    /// Looks how it stands, and follows sessions that are new.
    async fn look(&mut self) -> anyhow::Result<Option<End>> {
        let client = &self.context.client;
        let service = client.call::<ServiceGetMethod>(reference(self.name)).await?.service;
        let sessions = pages::sessions_of(client, self.name, pages::MANY).await?;
        for session in sessions.into_iter().rev() {
            if self.seen.insert(session.session_id.clone()) {
                self.streams.push(client.follow(&session.session_id, None));
            }
        }
        self.lived |= service.state != ServiceState::Stopped;
        self.tell(&service);
        Ok(match service.state {
            ServiceState::Failed => {
                Some(End::Failed(service.reason.unwrap_or_else(|| "the server does not say why".to_owned())))
            }
            ServiceState::Stopped if self.lived || self.begun.elapsed() > BEGINS => Some(End::Stopped),
            _ => None,
        })
    }

    /// Tells what has changed, where that is worth a line.
    fn tell(&mut self, service: &ServiceInfo) {
        let now = Some((service.state, service.reason.clone()));
        if self.told == now {
            return;
        }
        self.told = now;
        let mut line = format!("{} is {}", self.name, state(service.state));
        match service.state {
            ServiceState::Ready => {
                if let Some(url) = &service.url {
                    line += &format!(": {url}");
                }
                if let Some(address) = &service.address {
                    line += &format!(" (by itself {address})");
                }
            }
            ServiceState::Waiting | ServiceState::Unhealthy | ServiceState::Backoff | ServiceState::Idle => {
                if let Some(reason) = &service.reason {
                    line += &format!(": {reason}");
                }
                if let Some(at) = service.next_try_at {
                    line += &format!("; it is started again {}", text::until(at, text::now_ms()));
                }
            }
            // Nothing that anybody has to know, or told at the end.
            _ => return,
        }
        self.context.console.note(&text::plain(&line));
    }

    /// Writes lines; false when nobody reads them. A log that broke is told, and the others go on.
    fn write(&mut self, events: Vec<client::Result<LogEvent>>) -> anyhow::Result<bool> {
        let mut lines = Vec::with_capacity(events.len());
        for event in events {
            match event {
                Ok(event) => lines.push(Ok(event)),
                Err(error) => self.context.console.note(&format!("a log cannot be followed: {error}")),
            }
        }
        Ok(!matches!(write(&mut self.sink, lines)?, Written::NoReader))
    }

    /// The first signal stops the service, the second kills what is left of it, the third leaves it.
    fn asked_to_stop(&mut self, signal: i32) -> Option<End> {
        let context = Context { client: self.context.client.clone(), console: self.context.console };
        let name = self.name.to_owned();
        let (code, count) = self.asked.unwrap_or((exit::by_signal(signal), 0));
        self.asked = Some((code, count + 1));
        match count {
            0 => drop(tokio::spawn(async move { stop(&context, &name).await })),
            1 => drop(tokio::spawn(async move { kill(&context, &name).await })),
            _ => return Some(End::Left),
        }
        None
    }
}

/// The next events of all logs; never, while there are none.
async fn batch(streams: &mut SelectAll<LogStream>) -> Vec<client::Result<LogEvent>> {
    let Some(first) = streams.next().await else { return std::future::pending().await };
    let mut events = vec![first];
    while events.len() < BATCH
        && let Some(Some(next)) = streams.next().now_or_never()
    {
        events.push(next);
    }
    events
}

async fn stop(context: &Context, name: &str) {
    if let Err(error) = context.client.call::<ServiceStopMethod>(reference(name)).await {
        context.console.note(&format!("cannot stop {name}: {error}"));
    }
}

/// Kills the processes that there are.
async fn kill(context: &Context, name: &str) {
    let Ok(detail) = context.client.call::<ServiceGetMethod>(reference(name)).await else { return };
    for instance in detail.service.instances {
        let request = SessionStop { session_id: instance.session_id, grace_ms: Some(0) };
        // What has ended by itself meanwhile needs no signal.
        let _ = context.client.call::<SessionStopMethod>(request).await;
    }
}
