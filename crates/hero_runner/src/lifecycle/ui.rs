//! The pages for a browser, a program of its own beside the server.

use std::path::PathBuf;
use std::time::Duration;

use api::paths;
use api::stats::Health;
use client::Client;
use serde_json::{Value, json};

use super::launch::{Launch, Way};
use super::process::{Process, Signal};
use super::stop::{hold, remove_stale_socket};
use super::zinit::Zinit;
use super::{Probe, daemon, probe, programs, start};
use crate::Context;
use crate::cli::Listen;
use crate::failure::{self, advise};

/// It has nothing to warm.
const DEADLINE: Duration = Duration::from_secs(10);
/// It lets requests that are under way finish, which is a matter of two seconds.
const AFTER_TERM: Duration = Duration::from_secs(5);
const AFTER_KILL: Duration = Duration::from_secs(5);

/// A client of the pages' socket. Only who listens there and its health can be asked.
pub(crate) fn client(context: &Context) -> Client {
    Client::new(paths::ui_socket_beside(context.client.socket()))
}

/// Looks once, and takes only what says that it is the pages.
pub(crate) async fn look(client: &Client) -> Probe {
    match probe(client).await {
        Probe::Answers(health) if health.service != programs::UI => {
            Probe::Silent(format!("it says that it is {}", health.service))
        }
        found => found,
    }
}

/// That there is no URL, and what to do.
pub(crate) const CLOSED: [&str; 2] = [
    "the dashboard has no port for browsers: it was started without one, or the port was taken (ui.log tells)",
    "`hero_runner --stop`, and then `hero_runner --start --ui-listen 127.0.0.1:PORT` with a port that is free",
];

/// How a start went.
#[derive(Debug)]
pub(super) enum Started {
    /// Nobody asked for it.
    Unwanted,
    /// Its program is not installed beside the server's.
    Absent,
    /// It answers.
    Answers {
        health: Health,
        socket: PathBuf,
        pid: Option<u32>,
        way: Way,
        /// Its URL for browsers, with the token.
        url: Option<String>,
        /// Whether it was to have one.
        wanted: bool,
    },
    /// It does not. The server does its work without it.
    Failed(anyhow::Error),
}

/// Starts it, unless it runs.
pub(super) async fn start(context: &Context, listen: Listen) -> Started {
    try_start(context, listen).await.unwrap_or_else(Started::Failed)
}

async fn try_start(context: &Context, listen: Listen) -> anyhow::Result<Started> {
    let client = client(context);
    let (health, way) = match look(&client).await {
        Probe::Answers(health) => (health, Way::Already),
        Probe::Silent(why) => {
            let socket = client.socket().display();
            return Err(advise(
                format!("something listens on {socket} and does not answer as {}: {why}", programs::UI),
                "`hero_runner --stop` stops it, if it is ours",
            ));
        }
        Probe::Missing | Probe::Stale => match programs::beside_server(programs::UI) {
            Some(program) => launch(context, &client, program, listen).await?,
            None => return Ok(Started::Absent),
        },
    };
    let pid = client.peer().await.ok().and_then(|peer| peer.pid);
    let (url, wanted) = (url(&client), listen.is_some());
    Ok(Started::Answers { health, socket: client.socket().to_owned(), pid, way, url, wanted })
}

/// The URL for browsers, with the token; none where that door is not open.
pub(crate) fn url(client: &Client) -> Option<String> {
    let text = std::fs::read_to_string(paths::ui_url_beside(client.socket())).ok()?;
    let url = text.trim();
    url.starts_with("http://").then(|| url.to_owned())
}

/// The URL without its token.
pub(crate) fn address(url: &str) -> &str {
    url.split_once('#').map_or(url, |(address, _)| address)
}

async fn launch(
    context: &Context,
    client: &Client,
    program: PathBuf,
    listen: Listen,
) -> anyhow::Result<(Health, Way)> {
    let (socket, server) = (client.socket(), context.client.socket());
    let launch = Launch {
        name: programs::UI,
        called: programs::UI,
        client,
        deadline: DEADLINE,
        hint: "start it in a terminal to see what it says",
    };
    // Who keeps the server keeps the pages, too.
    if let Some(zinit) = Zinit::find().await
        && zinit.owns(server).await
    {
        zinit.start_ui(&program, &daemon::ui_arguments(socket, server, listen)).await?;
        return Ok((launch.by_zinit(&zinit).await?, Way::Zinit));
    }
    let state_dir = paths::state_dir(&paths::process_env);
    let daemon =
        daemon::spawn(&program, &daemon::ui_arguments(socket, server, listen), &state_dir, "ui.log")?;
    launch.directly(daemon).await
}

impl Started {
    /// As a result.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Unwanted | Self::Absent => Value::Null,
            Self::Answers { health, socket, pid, way, url, .. } => json!({
                "socket": socket, "version": health.version, "pid": pid, "started": *way != Way::Already,
                "started_by": way.started_by(), "url": url,
            }),
            Self::Failed(error) => json!({ "error": format!("{error:#}") }),
        }
    }

    /// As lines of text.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Answers { health, socket, pid, way, url, .. } => {
                let dashboard = url.as_ref().map(|url| format!("dashboard: {url}"));
                [start::listens(programs::UI, health, socket, *pid, *way)]
                    .into_iter()
                    .chain(dashboard)
                    .collect()
            }
            Self::Unwanted | Self::Absent | Self::Failed(_) => Vec::new(),
        }
    }

    /// Says why it does not run. It is no failure of `--start`: sessions and services do not need it.
    pub(super) fn complain(&self, context: &Context) {
        match self {
            Self::Failed(error) => _ = failure::report(&context.console, error, 0),
            Self::Answers { url: None, wanted: true, .. } => context.console.note(&CLOSED.join("; ")),
            Self::Answers { .. } | Self::Unwanted | Self::Absent => {}
        }
    }
}

/// Stops it, and says how that went; nothing when there was nothing to stop.
pub(super) async fn stop(context: &Context) -> anyhow::Result<Option<&'static str>> {
    let client = client(context);
    let mut how = None;
    if matches!(probe(&client).await, Probe::Answers(_) | Probe::Silent(_)) {
        how = Some(end(&client).await?);
    }
    if remove_stale_socket(&client).await? && how.is_none() {
        how = Some("not running; its stale socket is removed");
    }
    Ok(how)
}

async fn end(client: &Client) -> anyhow::Result<&'static str> {
    let process = hold(client, async |process: &Process| match look(client).await {
        Probe::Answers(_) => true,
        // It hangs, or is stopped; its program's name has to do.
        _ => process.program().as_deref() == Some(programs::UI),
    })
    .await?;
    process.signal(Signal::TERM)?;
    if process.is_gone(AFTER_TERM).await? {
        return Ok("stopped");
    }
    process.signal(Signal::KILL)?;
    if process.is_gone(AFTER_KILL).await? {
        return Ok("killed: it did not stop in time");
    }
    Err(advise(
        format!("process {} does not die", process.pid()),
        "it hangs in the kernel: `ps -o stat,wchan -p` tells where",
    ))
}
