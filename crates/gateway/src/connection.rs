//! The life of one client's connection.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::client::Client;
use crate::guard::Guard;
use crate::service;
use crate::socket::Socket;
use crate::timer::Timer;

/// The most requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// The least that hyper may buffer, in bytes.
const MIN_BUFFER: usize = 64 * 1024;
/// How long an HTTP/2 client may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves a connection until it ends.
pub(crate) async fn serve(client: Arc<Client>, socket: Socket) {
    let mut guard = Guard::new(socket, client.clone());
    let idle = client.core.settings.idle_timeout;
    // A connection that has not said anything yet has nothing to lose.
    let is_http2 = tokio::select! {
        known = tokio::time::timeout(idle, guard.is_http2()) => known,
        () = client.core.stop.cancelled() => return,
    };
    match is_http2 {
        Ok(Ok(true)) => http_2(client, guard).await,
        Ok(Ok(false)) => http_1(client, guard).await,
        Ok(Err(_)) | Err(_) => {}
    }
}

async fn http_1(client: Arc<Client>, guard: Guard<Socket>) {
    let head = client.core.settings.max_head_bytes;
    let mut builder = http1::Builder::new();
    // The guard has timers of its own, which answer.
    builder.header_read_timeout(None).max_buf_size(head.saturating_mul(2).max(MIN_BUFFER));
    let service = service_fn(|request| service::serve(client.clone(), request));
    let connection = builder.serve_connection(TokioIo::new(guard), service).with_upgrades();
    drive(&client, connection, |connection| connection.graceful_shutdown(), false).await;
}

async fn http_2(client: Arc<Client>, guard: Guard<Socket>) {
    let settings = &client.core.settings;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(settings.max_head_bytes).unwrap_or(u32::MAX))
        // A client that is gone without a word is found out while it has requests; an idle one is closed anyway.
        .keep_alive_interval(settings.idle_timeout)
        .keep_alive_timeout(PING_TIMEOUT);
    let service = service_fn(|request| service::serve(client.clone(), request));
    let connection = builder.serve_connection(TokioIo::new(guard), service);
    drive(&client, connection, |connection| connection.graceful_shutdown(), true).await;
}

/// Polls a connection to its end, and asks it for one when the gateway stops or, if nobody else looks after that, when
/// it is idle for too long.
async fn drive<C>(client: &Client, connection: C, close: impl Fn(Pin<&mut C>), idles: bool)
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut stopped = pin!(client.core.stop.cancelled());
    let mut timer = Timer::default();
    let ended = std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        if stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if idles {
            let since = if client.is_busy() { Instant::now() } else { client.last_byte() };
            return timer.poll(cx, since + client.core.settings.idle_timeout).map(|()| None);
        }
        Poll::Pending
    });
    let mut ended = ended.await;
    if ended.is_none() {
        close(connection.as_mut());
        ended = tokio::select! {
            result = connection => Some(result),
            () = client.core.cut.cancelled() => None,
        };
    }
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
