//! The life of the program: serving, told to stop, gone.

use std::time::Duration;

use anyhow::{Context as _, Result};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::accept;
use crate::app::Shared;
use crate::door::port::Port;
use crate::routes;

/// How long requests that are under way may take to finish.
const LINGER: Duration = Duration::from_secs(2);

/// Serves the pages until SIGTERM or SIGINT, and then lets requests that are under way finish; a second signal does not.
///
/// # Errors
/// When the signals cannot be received, or the port cannot be polled.
pub async fn until_told_to_stop(app: Shared, socket: UnixListener, port: Option<Port>) -> Result<()> {
    let what = "signals cannot be received";
    let mut terminate = signal(SignalKind::terminate()).context(what)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(what)?;
    let (stop, stopped) = watch::channel(());
    let private = tokio::spawn(accept::serve(socket, routes::unix(app.clone()), stopped.clone()));
    let mut public = None;
    if let Some(port) = &port {
        let listener =
            port.listener.try_clone().and_then(TcpListener::from_std).context("the port cannot be polled")?;
        let router = routes::tcp(app, port.guard.clone());
        public = Some(tokio::spawn(accept::serve(listener, router, stopped)));
    }
    let fresh = async {
        match &port {
            Some(port) => port.keep_fresh().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = either(&mut terminate, &mut interrupt) => {}
        () = fresh => {}
    }
    let _ = stop.send(());
    let what = "the accept loop failed";
    let private = private.await.context(what)?;
    let public = match public {
        Some(public) => public.await.context(what)?,
        None => GracefulShutdown::new(),
    };
    tokio::select! {
        _ = async { tokio::join!(private.shutdown(), public.shutdown()) } => {}
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
