//! The accept loop: one task for each connection.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, oneshot};

/// The most connections at once; a gateway keeps a few, a person opens a few.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take for the head of a request; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest head of a request and the most of a reply that waits for a slow client, in bytes.
const BUFFER_MAX: usize = 64 * 1024;
/// The pause after a failure of `accept`, such as having no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` resolves; returns the connections that are still open.
pub async fn serve(
    listener: UnixListener,
    router: Router,
    mut stop: oneshot::Receiver<()>,
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
            _ = &mut stop => return open,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => return open,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // The mode of the socket says the same; this holds where a folder or a descriptor was passed on.
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == own || peer.uid() == 0 => {}
            peer => {
                tracing::warn!(?peer, "a connection of another user was refused");
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
