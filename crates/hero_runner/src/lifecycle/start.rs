//! `hero_runner --start`.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use api::paths;
use api::stats::Health;
use serde_json::json;

use super::launch::{Launch, STEP_MAX, Way};
use super::zinit::Zinit;
use super::{Probe, daemon, gateway, probe, programs, ui};
use crate::Context;
use crate::cli::Listen;
use crate::failure::advise;

/// How long the server may take until it answers: it warms an engine first.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn run(context: &Context, foreground: bool, with_ui: Option<Listen>) -> anyhow::Result<u8> {
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
    let (health, way) = match found {
        Probe::Answers(health) => (health, Way::Already),
        Probe::Silent(why) => {
            let hint = "stop it with `hero_runner --stop`, or look into its log";
            return Err(advise(
                format!("a server listens on {} and does not answer: {why}", socket.display()),
                hint,
            ));
        }
        Probe::Missing | Probe::Stale if foreground => {
            let server = programs::find(programs::SERVER)?;
            // Only returns when it fails.
            let error = Command::new(&server).args(daemon::arguments(socket)).exec();
            return Err(error).with_context(|| format!("cannot start {}", server.display()));
        }
        Probe::Missing | Probe::Stale => server(context).await?,
    };
    let pages = match with_ui {
        Some(listen) => ui::start(context, listen).await,
        None => ui::Started::Unwanted,
    };
    announce(context, &health, way, &pages).await?;
    Ok(0)
}

async fn server(context: &Context) -> anyhow::Result<(Health, Way)> {
    let client = &context.client;
    let program = programs::find(programs::SERVER)?;
    let launch = Launch {
        name: programs::SERVER,
        called: "the server",
        client,
        deadline: DEADLINE,
        hint: "start it with --foreground to see what it says",
    };
    if let Some(zinit) = Zinit::find().await {
        zinit.start(&program, client.socket()).await?;
        return Ok((launch.by_zinit(&zinit).await?, Way::Zinit));
    }
    let state_dir = paths::state_dir(&paths::process_env);
    let daemon = daemon::spawn(&program, &daemon::arguments(client.socket()), &state_dir, "server.log")?;
    launch.directly(daemon).await
}

async fn announce(context: &Context, health: &Health, way: Way, pages: &ui::Started) -> anyhow::Result<()> {
    let socket = context.client.socket();
    let pid = context.client.peer().await.ok().and_then(|peer| peer.pid);
    let gateway = gateway(&context.client).await;
    if context.console.json {
        context.console.json(&json!({
            "socket": socket, "version": health.version, "status": health.status, "pid": pid,
            "started": way != Way::Already, "started_by": way.started_by(), "gateway": gateway, "ui": pages.json(),
        }))?;
    } else {
        let line = listens(programs::SERVER, health, socket, pid, way);
        context.console.say(&line)?;
        for line in pages.lines() {
            context.console.say(&line)?;
        }
        if let Some(gateway) = gateway {
            context.console.say(&format!("gateway: {gateway}/"))?;
        }
        for reason in &health.reasons {
            context.console.note(&format!("{}: {reason}", health.status));
        }
    }
    pages.complain(context);
    Ok(())
}

/// That a program listens, where, and since when.
pub(super) fn listens(
    name: &str,
    health: &Health,
    socket: &std::path::Path,
    pid: Option<u32>,
    way: Way,
) -> String {
    let pid = pid.map_or_else(|| "pid unknown".to_owned(), |pid| format!("pid {pid}"));
    format!("{name} {} listens on {} ({pid}, {})", health.version, socket.display(), way.words())
}
