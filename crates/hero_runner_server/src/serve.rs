//! The life of a server: ready, serving, draining, gone.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior};

use crate::core::Core;
use crate::settings::Settings;
use crate::signals::Order;
use crate::{accept, routes, systemd};

/// How long open connections may take to finish after the sessions have ended.
const LINGER: Duration = Duration::from_secs(2);
/// How long a client may take for the head of a request, and how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves until it is told to stop, then drains. While it drains, clients are still answered: they see their sessions
/// end, and new sessions are refused by the core.
pub async fn serve<C: Core>(
    core: C,
    listener: UnixListener,
    settings: &Settings,
    mut orders: mpsc::Receiver<Order>,
    mut reload: impl FnMut(),
) -> Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener).context("the socket cannot be polled")?;
    let router = routes::router(core.clone(), settings);
    let limits = accept::Limits {
        connections: usize::try_from(settings.max_connections).unwrap_or(usize::MAX),
        head_timeout: HEAD_TIMEOUT,
    };
    let (stop, stopped) = oneshot::channel();
    let doors = tokio::spawn(accept::serve(listener, router, limits, stopped));
    let mut beat = systemd::beat().map(tokio::time::interval);
    if let Some(beat) = &mut beat {
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    }
    systemd::ready(&settings.socket);
    tracing::info!(socket = %settings.socket.display(), version = api::VERSION, "ready");

    loop {
        tokio::select! {
            // A server that nobody can give orders to serves on.
            Some(order) = orders.recv() => match order {
                Order::Stop => break,
                Order::Reload => reload(),
            },
            () = tick(&mut beat) => systemd::alive(),
        }
    }

    systemd::stopping();
    tracing::info!("draining");
    let at_once = tokio::select! {
        () = core.drain(Duration::from_millis(settings.drain_ms)) => false,
        () = second_stop(&mut orders, &mut beat) => true,
    };
    let _ = stop.send(());
    let open = doors.await.context("the accept loop failed")?;
    if at_once {
        tracing::warn!("told twice to stop: stopping at once");
        return Ok(());
    }
    tokio::select! {
        () = open.shutdown() => {}
        () = tokio::time::sleep(LINGER) => tracing::debug!("connections were cut"),
        () = second_stop(&mut orders, &mut beat) => {}
    }
    tracing::info!("stopped");
    Ok(())
}

async fn tick(beat: &mut Option<Interval>) {
    match beat {
        Some(beat) => {
            beat.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Keeps the watchdog content until the order to stop comes once more.
async fn second_stop(orders: &mut mpsc::Receiver<Order>, beat: &mut Option<Interval>) {
    loop {
        tokio::select! {
            Some(order) = orders.recv() => if order == Order::Stop { return },
            () = tick(beat) => systemd::alive(),
        }
    }
}
