//! Asking a service whether it is well.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::service::Probe;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64)
}

/// `GET path` on this socket; a status below 400 is good.
pub(crate) async fn probe(socket: &Path, path: &str, timeout: Duration) -> Probe {
    let (at, began) = (now_ms(), Instant::now());
    let answer = tokio::time::timeout(timeout, status(socket, path)).await;
    let latency_us = began.elapsed().as_micros() as u64;
    let (status, error) = match answer {
        Ok(Ok(status)) if status < 400 => (Some(status), None),
        Ok(Ok(status)) => (Some(status), Some(format!("GET {path} answered {status}"))),
        Ok(Err(why)) => (None, Some(format!("GET {path}: {why}"))),
        Err(_) => (None, Some(format!("GET {path}: no answer in {} ms", timeout.as_millis()))),
    };
    Probe { at, ok: error.is_none(), status, latency_us, error }
}

/// The request of a probe.
///
/// # Errors
/// When the path is none.
pub(crate) fn get(path: &str) -> http::Result<http::Request<Empty<Bytes>>> {
    http::Request::get(path)
        .header(http::header::HOST, "localhost")
        .header(http::header::USER_AGENT, concat!("hero_runner-probe/", env!("CARGO_PKG_VERSION")))
        .header(http::header::CONNECTION, "close")
        .body(Empty::new())
}

async fn status(socket: &Path, path: &str) -> Result<u16, String> {
    let stream = UnixStream::connect(socket).await.map_err(|error| error.to_string())?;
    ask(stream, get(path).map_err(|error| error.to_string())?).await
}

/// The status that a request on this connection is answered with; the connection ends with it.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn ask(stream: UnixStream, request: http::Request<Empty<Bytes>>) -> Result<u16, String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        Ok(response.status().as_u16())
    };
    let mut answer = std::pin::pin!(answer);
    // The connection ends when the answer's head is there: its body is of no interest.
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // It may have brought the answer and ended in one go.
        _ = connection => answer.await,
    }
}
