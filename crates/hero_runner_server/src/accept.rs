//! The accept loop: one task for each connection, and an answer even when there is no room for one.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};

use api::{ErrorCode, error::Error};

use crate::refusal::{self, Refusal};

/// The largest head of a request and the most of a reply that waits for a slow client, in bytes.
const BUFFER_MAX: usize = 64 * 1024;
/// The pause after the process ran out of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// How many may come in, and how slow they may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections that may be open.
    pub connections: usize,
    /// How long a client may take for the head of a request; also how long an idle connection is kept.
    pub head_timeout: Duration,
}

/// Serves connections until `stop` resolves; returns the connections that are still open.
pub async fn serve(
    listener: UnixListener,
    router: Router,
    limits: Limits,
    mut stop: oneshot::Receiver<()>,
) -> GracefulShutdown {
    let open = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(limits.connections));
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(BUFFER_MAX);
    let own = nix::unistd::geteuid().as_raw();
    let mut reserve = Reserve::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => return open,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                if is_exhausted(&error) {
                    tracing::error!(%error, "no descriptor is left for a connection");
                    reserve.refuse_one(&listener);
                    tokio::time::sleep(PAUSE).await;
                } else {
                    // Such as a client that was gone before it was accepted.
                    tracing::debug!(%error, "accepting a connection failed");
                }
                continue;
            }
        };
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == own || peer.uid() == 0 => {}
            peer => {
                tracing::warn!(?peer, "a connection of another user was refused");
                let refusal =
                    Refusal::http("user_refused", "run as the server's user", "this socket is private");
                send(&stream, StatusCode::FORBIDDEN, &refusal);
                continue;
            }
        }
        let Ok(place) = room.clone().try_acquire_owned() else {
            let message =
                format!("as many connections are open as max_connections allows, {}", limits.connections);
            no_room(&stream, message);
            continue;
        };
        let connection = builder.serve_connection(TokioIo::new(stream), service.clone());
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    use nix::errno::Errno::{EMFILE, ENFILE, ENOBUFS, ENOMEM};
    let code = error.raw_os_error().unwrap_or_default();
    [EMFILE, ENFILE, ENOBUFS, ENOMEM].iter().any(|known| *known as i32 == code)
}

/// A descriptor that is given up when there is no other, so that one client at a time can be told.
struct Reserve {
    file: Option<File>,
}

impl Reserve {
    fn new() -> Self {
        Self { file: File::open("/dev/null").ok() }
    }

    fn refuse_one(&mut self, listener: &UnixListener) {
        use futures_util::FutureExt as _;
        self.file = None;
        if let Some(Ok((stream, _))) = listener.accept().now_or_never() {
            no_room(&stream, "the server has no descriptor left for a connection".to_owned());
        }
        self.file = File::open("/dev/null").ok();
    }
}

fn no_room(stream: &UnixStream, message: String) {
    let error = Error::new(ErrorCode::ResourceExhausted, message);
    send(stream, refusal::status(error.code), &error.into());
}

/// Answers without reading: the reply is small enough for the socket's own buffer.
fn send(stream: &UnixStream, status: StatusCode, refusal: &Refusal) {
    let body = serde_json::to_string(refusal).unwrap_or_default();
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // A client that is gone already needs no answer.
    let _ = stream.try_write(text.as_bytes());
}
