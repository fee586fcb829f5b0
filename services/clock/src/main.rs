//! A service that counts the calls that it gets, as from schedules, and shows what a service can do:
//! wait while others are answered, stream, and speak WebSocket.
//!
//! | path | answer |
//! |---|---|
//! | `/tick` | counts: `{"count":1,"time":1795248979192}` |
//! | `/count` | the count so far, likewise |
//! | `/slow?ms=N` | after so long |
//! | `/fail` | status 500 |
//! | `/echo` | the request as JSON |
//! | `/stream` | five events, 100 ms apart |
//! | `/big?bytes=N` | so many bytes |
//! | `/ws` | a WebSocket that sends back what it gets |
//! | `/health` | `OK` |

mod ws;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::time::sleep;
use web::{Body, Method, Request, Response, StatusCode};

static COUNT: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    web::run(web::serve(handle))
}

async fn handle(request: Request<Body>) -> Response<Body> {
    match request.uri().path() {
        "/health" => web::healthy(),
        "/tick" if matches!(*request.method(), Method::GET | Method::POST) => {
            count(COUNT.fetch_add(1, Ordering::Relaxed) + 1)
        }
        "/count" => count(COUNT.load(Ordering::Relaxed)),
        "/slow" => {
            let ms = web::number(&request, "ms", 1000);
            sleep(Duration::from_millis(ms)).await;
            web::text(StatusCode::OK, format!("after {ms} ms\n"))
        }
        "/fail" => web::text(StatusCode::INTERNAL_SERVER_ERROR, "asked to fail\n"),
        "/echo" => echo(request).await,
        "/stream" => stream(),
        "/big" => big(web::number(&request, "bytes", 1 << 20)),
        "/ws" => ws::accept(request),
        _ => web::not_found(),
    }
}

fn count(count: u64) -> Response<Body> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    web::json(StatusCode::OK, &json!({ "count": count, "time": since.as_millis() as u64 }))
}

/// The request as it came in. A header that came several times is joined with commas.
async fn echo(request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut headers = BTreeMap::<_, String>::new();
    for (name, value) in &head.headers {
        let joined = headers.entry(name.as_str()).or_default();
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(&String::from_utf8_lossy(value.as_bytes()));
    }
    match hyper::body::to_bytes(body).await {
        Ok(body) => web::json(
            StatusCode::OK,
            &json!({
                "method": head.method.as_str(),
                "path": head.uri.path(),
                "query": head.uri.query(),
                "headers": headers,
                "body": String::from_utf8_lossy(&body),
            }),
        ),
        Err(error) => web::text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

/// Server-sent events.
fn stream() -> Response<Body> {
    let (mut sender, body) = Body::channel();
    tokio::spawn(async move {
        for n in 1..=5 {
            // Whoever asked may have gone.
            if sender.send_data(format!("data: {n}\n\n").into()).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    web::with_type(StatusCode::OK, "text/event-stream", body)
}

/// `bytes` bytes, one piece at a time, as fast as they are read.
fn big(mut bytes: u64) -> Response<Body> {
    static PIECE: [u8; 16 * 1024] = [b'x'; 16 * 1024];
    let (mut sender, body) = Body::channel();
    tokio::spawn(async move {
        while bytes > 0 {
            let length = bytes.min(PIECE.len() as u64) as usize;
            if sender.send_data(PIECE[..length].into()).await.is_err() {
                return;
            }
            bytes -= length as u64;
        }
    });
    web::with_type(StatusCode::OK, "application/octet-stream", body)
}
