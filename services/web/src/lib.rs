//! What the services share: the loop that serves, the query, and answers.
//!
//! `hello` does without, so that it shows all that a service needs.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::Http;
use hyper::service::service_fn;
pub use hyper::{Body, Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

/// Runs `future`, which serves, and tells on standard error why it ended if it had to.
pub fn run(future: impl Future<Output = Result<(), Box<dyn Error>>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(future)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers requests to 127.0.0.1 at the port in `PORT` with `handle`, several at a time, until the
/// service is stopped.
///
/// # Errors
/// When there is no such port, or it is taken.
pub async fn serve<H, F>(handle: H) -> Result<(), Box<dyn Error>>
where
    H: Fn(Request<Body>) -> F + Copy + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let port = std::env::var("PORT").map_err(|_| "PORT does not say where to listen")?;
    let port = port.parse().map_err(|_| format!("PORT is {port:?}, which is no port"))?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = TcpListener::bind(address).await?;
    println!("listening on {address}");
    // Head and body of an answer in one piece: written in two, the second would wait 40 ms for an
    // acknowledgement of the first.
    let mut http = Http::new();
    http.http1_only(true).http1_writev(false);
    let service = service_fn(move |request| {
        let answer = handle(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                drop(tokio::spawn(http.serve_connection(stream, service).with_upgrades()));
            }
            // One that was gone before it was looked at; or too many are open: let some end.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// An answer in plain text.
pub fn text(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    with_type(status, "text/plain", body)
}

/// An answer in JSON.
pub fn json(status: StatusCode, body: &impl serde::Serialize) -> Response<Body> {
    match serde_json::to_string(body) {
        Ok(body) => with_type(status, "application/json", body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// An answer of this content type.
pub fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The answer to a probe.
pub fn healthy() -> Response<Body> {
    text(StatusCode::OK, "OK")
}

/// The answer where there is nothing.
pub fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "not found\n")
}

/// A parameter of the request's query, decoded.
pub fn parameter<B>(request: &Request<B>, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// A parameter that is a number, `default` where there is none.
pub fn number<B>(request: &Request<B>, name: &str, default: u64) -> u64 {
    parameter(request, name).and_then(|value| value.parse().ok()).unwrap_or(default)
}
