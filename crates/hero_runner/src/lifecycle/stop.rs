//! `hero_runner --stop`.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use api::method::{NoParams, StatsMethod};
use client::Client;
use serde_json::json;

use super::process::{Process, Signal};
use super::zinit::Zinit;
use super::{ANSWER, Probe, probe, programs, ui};
use crate::Context;
use crate::failure::{self, advise};

/// How long a process may take to disappear after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(10);
/// Between binding its socket and listening on it, a server that starts looks like a stale one.
const STALE: Duration = Duration::from_millis(300);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NothingRan,
    ByZinit,
    Drained,
    Hurried,
    Killed,
}

pub(crate) async fn run(context: &Context, timeout: Duration) -> anyhow::Result<u8> {
    let mut end = End::NothingRan;
    // zinit would start again what is stopped behind its back, so it is asked first. It may also keep a server that
    // crashes and does not listen right now.
    if let Some(zinit) = Zinit::find().await
        && zinit.owns(context.client.socket()).await
    {
        zinit.stop(timeout).await?;
        end = End::ByZinit;
    }
    // Before the server, for which it would only be a client that asks in vain; and whatever becomes of it, the server is
    // stopped.
    let pages = ui::stop(context).await;
    if matches!(probe(&context.client).await, Probe::Answers(_) | Probe::Silent(_)) {
        end = directly(context, timeout).await?;
    }
    let removed = remove_stale_socket(&context.client).await?;
    let (pages, code) = match pages {
        Ok(pages) => (pages, 0),
        Err(error) => (None, failure::report(&context.console, &error, 1)),
    };
    tell(context, end, removed, pages)?;
    Ok(code)
}

fn tell(context: &Context, end: End, removed: bool, pages: Option<&str>) -> anyhow::Result<()> {
    let name = programs::SERVER;
    let how = match end {
        End::NothingRan => "not running",
        End::ByZinit => "stopped by zinit",
        End::Drained => "stopped",
        End::Hurried => "stopped; it did not wait for its sessions",
        End::Killed => "killed: it did not stop in time",
    };
    if context.console.json {
        let socket = context.client.socket();
        let was_running = end != End::NothingRan;
        return context.console.json(&json!({
            "socket": socket, "was_running": was_running, "result": how, "removed_stale_socket": removed,
            "ui": pages,
        }));
    }
    let socket = if removed { "; its stale socket is removed" } else { "" };
    context.console.say(&format!("{name}: {how}{socket}"))?;
    match pages {
        Some(how) => context.console.say(&format!("{}: {how}", programs::UI)),
        None => Ok(()),
    }
}

async fn directly(context: &Context, timeout: Duration) -> anyhow::Result<End> {
    let server = hold(&context.client, async |process: &Process| {
        let call = tokio::time::timeout(ANSWER, context.client.call::<StatsMethod>(NoParams {})).await;
        match call {
            Ok(Ok(stats)) => stats.server_pid == process.pid(),
            // It hangs, or is stopped; its program's name has to do.
            _ => process.program().as_deref() == Some(programs::SERVER),
        }
    })
    .await?;
    let pid = server.pid();
    let send = |signal| server.signal(signal).with_context(|| format!("cannot signal process {pid}"));
    let begun = Instant::now();
    send(Signal::TERM)?;
    if server.is_gone(timeout / 2).await? {
        return Ok(End::Drained);
    }
    context.console.note("it still waits for its sessions; they are ended now");
    // The second one tells it not to wait any longer.
    send(Signal::TERM)?;
    if server.is_gone(timeout.saturating_sub(begun.elapsed())).await? {
        return Ok(End::Hurried);
    }
    send(Signal::KILL)?;
    if server.is_gone(AFTER_KILL).await? {
        return Ok(End::Killed);
    }
    Err(advise(
        format!("process {pid} does not die"),
        "it hangs in the kernel: `ps -o stat,wchan -p` tells where",
    ))
}

/// Takes hold of the process that listens, once it is sure that it is the one that is meant.
pub(super) async fn hold(
    client: &Client,
    is_meant: impl AsyncFnOnce(&Process) -> bool,
) -> anyhow::Result<Process> {
    let socket = client.socket().display().to_string();
    let unknown = || {
        advise(
            format!("cannot tell which process listens on {socket}"),
            "it may run in another pid namespace: stop it where it was started",
        )
    };
    let pid = client.peer().await?.pid.ok_or_else(unknown)?;
    let process = Process::hold(pid).with_context(|| format!("cannot take hold of process {pid}"))?;
    // Asked again now that the pidfd is held: the same process still listens, so the pidfd is that process's.
    if client.peer().await?.pid != Some(pid) {
        return Err(unknown());
    }
    if is_meant(&process).await {
        return Ok(process);
    }
    let program = process.program().unwrap_or_else(|| "another program".to_owned());
    Err(advise(
        format!("{socket} belongs to {program} (pid {pid}), not to hero_runner"),
        "where systemd holds the socket, `systemctl --user stop hero_runner.socket hero_runner.service` stops both",
    ))
}

/// Removes a socket that nobody listens on.
pub(super) async fn remove_stale_socket(client: &Client) -> anyhow::Result<bool> {
    if !matches!(probe(client).await, Probe::Stale) {
        return Ok(false);
    }
    tokio::time::sleep(STALE).await;
    if !matches!(probe(client).await, Probe::Stale) {
        return Ok(false);
    }
    let socket = client.socket();
    std::fs::remove_file(socket)
        .with_context(|| format!("cannot remove the stale socket {}", socket.display()))?;
    Ok(true)
}
