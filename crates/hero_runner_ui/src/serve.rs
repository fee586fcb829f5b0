//! The life of the program: serving, told to stop, gone.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use anyhow::{Context as _, Result};
use client::Client;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::{accept, routes};

/// How long requests that are under way may take to finish.
const LINGER: Duration = Duration::from_secs(2);

/// Serves the pages until SIGTERM or SIGINT, and then lets requests that are under way finish; a second signal does not.
///
/// # Errors
/// When the socket or the signals cannot be used.
pub async fn until_told_to_stop(listener: UnixListener, server: Client) -> Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener).context("the socket cannot be polled")?;
    let what = "signals cannot be received";
    let mut terminate = signal(SignalKind::terminate()).context(what)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(what)?;
    let (stop, stopped) = oneshot::channel();
    let doors = tokio::spawn(accept::serve(listener, routes::router(server), stopped));
    either(&mut terminate, &mut interrupt).await;
    let _ = stop.send(());
    let open = doors.await.context("the accept loop failed")?;
    tokio::select! {
        () = open.shutdown() => {}
        () = tokio::time::sleep(LINGER) => tracing::debug!("connections were cut"),
        () = either(&mut terminate, &mut interrupt) => {}
    }
    tracing::info!("stopped");
    Ok(())
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
