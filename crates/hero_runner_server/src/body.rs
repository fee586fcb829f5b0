//! Bodies of requests, with a limit on their size and on the silence between two pieces.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt as _;

use crate::refusal::{self, Refusal};

/// How long a client may send nothing in the middle of a body.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The next piece of a body; `None` at its end.
pub async fn piece(body: &mut Body) -> Result<Option<Bytes>, Box<Response>> {
    loop {
        match tokio::time::timeout(SILENCE_MAX, body.frame()).await {
            Ok(None) => return Ok(None),
            // Trailers say nothing to us.
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(_) => continue,
            },
            Ok(Some(Err(error))) => {
                let refusal =
                    Refusal::http("body_broken", "send it again", format!("the body broke off: {error}"));
                return Err(Box::new(refusal.reply(StatusCode::BAD_REQUEST)));
            }
            Err(_) => {
                let message = format!("no piece of the body came for {} s", SILENCE_MAX.as_secs());
                let refusal = Refusal::http("body_timeout", "send it without long pauses", message);
                return Err(Box::new(refusal.reply(StatusCode::REQUEST_TIMEOUT)));
            }
        }
    }
}

/// How much of a body is read that nobody wants.
const DRAIN_MAX: u64 = 64 << 20;

/// Reads and drops what is left of a body, up to a limit. A client that is still sending when the connection closes sees
/// a broken pipe instead of the reason, so the reason waits for it.
pub async fn drain(mut body: Body) {
    let mut read = 0;
    while read < DRAIN_MAX {
        match piece(&mut body).await {
            Ok(Some(piece)) => read += piece.len() as u64,
            Ok(None) | Err(_) => return,
        }
    }
}

/// A whole body of at most `limit` bytes.
pub async fn whole(mut body: Body, limit: u64) -> Result<Bytes, Box<Response>> {
    // What is announced as too large is refused before it is read.
    if body.size_hint().lower() > limit {
        return Err(too_large(limit));
    }
    let Some(first) = piece(&mut body).await? else { return Ok(Bytes::new()) };
    // A small body is one piece, and is taken as it is.
    if body.is_end_stream() && first.len() as u64 <= limit {
        return Ok(first);
    }
    let mut all = BytesMut::from(first);
    loop {
        if all.len() as u64 > limit {
            return Err(too_large(limit));
        }
        match piece(&mut body).await? {
            Some(next) => all.extend_from_slice(&next),
            None => return Ok(all.freeze()),
        }
    }
}

fn too_large(limit: u64) -> Box<Response> {
    let message = format!("the body is larger than body_max_bytes, {limit}");
    Box::new(refusal::reply(api::error::Error::new(api::ErrorCode::TooLarge, message)))
}
