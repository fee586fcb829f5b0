//! The accept loop: one task for each connection.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};

use crate::door::listen::Listen;

/// The most connections at once: a gateway keeps a few, and each log that a person follows is one.
const CONNECTIONS_MAX: usize = 256;
/// How long a client may take for the head of a request; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest head of a request and the most of a reply that waits for a slow client, in bytes.
const BUFFER_MAX: usize = 64 * 1024;
/// The pause after a failure of `accept`, such as having no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` changes or is gone; returns the connections that are still open.
pub async fn serve<L: Listen>(
    listener: L,
    router: Router,
    mut stop: watch::Receiver<()>,
) -> GracefulShutdown {
    let open = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER_MAX);
    let own = rustix::process::geteuid().as_raw();
    loop {
        // Who comes while there is no room waits in the kernel's queue.
        let place = tokio::select! {
            place = room.clone().acquire_owned() => place,
            _ = stop.changed() => return open,
        };
        let accepted = tokio::select! {
            accepted = listener.next() => accepted,
            _ = stop.changed() => return open,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        match L::user(&stream).await {
            Some(user) if user == own || user == 0 => {}
            user => {
                tracing::warn!(?user, "a connection of another user was refused");
                continue;
            }
        }
        let connection = open.watch(builder.serve_connection(TokioIo::new(stream), service.clone()));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
}
