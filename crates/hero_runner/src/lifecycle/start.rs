//! `hero_runner --start`.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use api::paths;
use api::stats::Health;
use serde_json::json;

use super::daemon::{self, Daemon};
use super::zinit::Zinit;
use super::{Probe, probe, programs};
use crate::Context;
use crate::failure::advise;

/// How long the server may take until it answers: it warms an engine first.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a server that lost to another one that starts at the same time waits for that one.
const RIVAL: Duration = Duration::from_secs(10);
const STEP_MIN: Duration = Duration::from_millis(10);
const STEP_MAX: Duration = Duration::from_millis(200);

/// Which way the server was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Already,
    Directly,
    Zinit,
}

pub(crate) async fn run(context: &Context, foreground: bool) -> anyhow::Result<u8> {
    let socket = context.client.socket();
    if !paths::fits_socket_address(socket) {
        let why = format!("{} has more than {} bytes", socket.display(), paths::SOCKET_PATH_MAX);
        return Err(advise(why, "name a shorter socket with --socket or HERO_SOCKET_DIR"));
    }
    let mut found = probe(&context.client).await;
    if matches!(found, Probe::Silent(_)) {
        // A server that is being killed at this very moment still takes a connection, and breaks it.
        tokio::time::sleep(STEP_MAX).await;
        found = probe(&context.client).await;
    }
    match found {
        Probe::Answers(health) => {
            announce(context, &health, Way::Already).await?;
            return Ok(0);
        }
        Probe::Silent(why) => {
            let hint = "stop it with `hero_runner --stop`, or look into its log";
            return Err(advise(
                format!("a server listens on {} and does not answer: {why}", socket.display()),
                hint,
            ));
        }
        Probe::Missing | Probe::Stale => {}
    }
    let server = programs::find(programs::SERVER)?;
    if foreground {
        // Only returns when it fails.
        let error = Command::new(&server).args(daemon::arguments(socket)).exec();
        return Err(error).with_context(|| format!("cannot start {}", server.display()));
    }
    if let Some(zinit) = Zinit::find().await {
        let health = by_zinit(context, &zinit, &server).await?;
        announce(context, &health, Way::Zinit).await?;
    } else {
        let daemon = daemon::spawn(&server, socket, &paths::state_dir(&paths::process_env))?;
        let (health, way) = directly(context, daemon).await?;
        announce(context, &health, way).await?;
    }
    Ok(0)
}

async fn announce(context: &Context, health: &Health, way: Way) -> anyhow::Result<()> {
    let socket = context.client.socket();
    let pid = context.client.peer().await.ok().and_then(|peer| peer.pid);
    if context.console.json {
        let started_by = match way {
            Way::Already => None,
            Way::Directly => Some("hero_runner"),
            Way::Zinit => Some("zinit"),
        };
        return context.console.json(&json!({
            "socket": socket, "version": health.version, "status": health.status, "pid": pid,
            "started": way != Way::Already, "started_by": started_by,
        }));
    }
    let pid = pid.map_or_else(|| "pid unknown".to_owned(), |pid| format!("pid {pid}"));
    let way = match way {
        Way::Already => "already running",
        Way::Directly => "started directly",
        Way::Zinit => "started by zinit",
    };
    let name = programs::SERVER;
    context.console.say(&format!(
        "{name} {} listens on {} ({pid}, {way})",
        health.version,
        socket.display()
    ))?;
    for reason in &health.reasons {
        context.console.note(&format!("{}: {reason}", health.status));
    }
    Ok(())
}

/// Waits until the server answers; none when the time ran out or `is_over` says that nothing is to be hoped for.
async fn until_answer(
    context: &Context,
    deadline: Duration,
    mut is_over: impl AsyncFnMut() -> bool,
) -> Option<Health> {
    let begun = Instant::now();
    let mut step = STEP_MIN;
    while begun.elapsed() < deadline {
        if let Probe::Answers(health) = probe(&context.client).await {
            return Some(health);
        }
        if is_over().await {
            return None;
        }
        tokio::time::sleep(step).await;
        step = (step * 2).min(STEP_MAX);
    }
    None
}

async fn directly(context: &Context, mut daemon: Daemon) -> anyhow::Result<(Health, Way)> {
    let mut ended = None;
    let health = until_answer(context, DEADLINE, async || {
        ended = daemon.child.try_wait().ok().flatten();
        ended.is_some()
    })
    .await;
    if let Some(health) = health {
        return Ok((health, Way::Directly));
    }
    let log = daemon.log().display().to_string();
    let Some(status) = ended else {
        // Left alone it would come up some time later, after we said that it did not.
        let _ = daemon.child.kill().and_then(|()| daemon.child.wait());
        let why = format!("the server did not answer within {} s and was ended", DEADLINE.as_secs());
        return Err(advise(why, format!("{log} says more")));
    };
    // Two that start at once are told apart by the server's lock; the one that lost only has to wait.
    if status.code() != Some(2)
        && let Some(health) = until_answer(context, rival_patience(&daemon), async || false).await
    {
        return Ok((health, Way::Already));
    }
    Err(advise(
        format!("the server ended at once ({status}){}", indented(&daemon.log_tail())),
        format!("{log} says more"),
    ))
}

/// How long to wait for another server that may be starting: only where the log speaks of one is it worth long.
fn rival_patience(daemon: &Daemon) -> Duration {
    let spoken_of = daemon.log_tail().contains(&format!("another {}", programs::SERVER));
    if spoken_of { RIVAL } else { Duration::from_millis(500) }
}

async fn by_zinit(context: &Context, zinit: &Zinit, server: &Path) -> anyhow::Result<Health> {
    let socket = context.client.socket();
    let ui = programs::find(programs::UI).ok();
    zinit.start(server, socket, ui.as_deref()).await?;
    let mut failed = None;
    let health = until_answer(context, DEADLINE, async || {
        failed = zinit.failure(programs::SERVER).await;
        failed.is_some()
    })
    .await;
    if let Some(health) = health {
        return Ok(health);
    }
    let why = failed.unwrap_or_else(|| format!("no answer within {} s", DEADLINE.as_secs()));
    let log = zinit.log_tail(programs::SERVER).await;
    // What does not start is not left to be started again and again.
    let _ = zinit.stop(Duration::from_secs(5)).await;
    let message = format!("the server did not start under zinit: {why}{}", indented(&log));
    Err(advise(message, "start it with --foreground to see what it says"))
}

fn indented(log: &str) -> String {
    log.lines().map(|line| format!("\n  | {}", crate::text::plain(line))).collect()
}
