//! What is passed on to the server as it is: both bodies stream, nothing is buffered.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::UnixStream;

use crate::app::Shared;

/// What concerns one connection, and is not passed on (RFC 9110, section 7.6.1).
const HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// What is the browser's and the door's own matter.
const OURS: [HeaderName; 5] =
    [header::COOKIE, header::ORIGIN, header::REFERER, header::AUTHORIZATION, crate::door::TOKEN_HEADER];

/// Sends a request to the server, on a connection of its own, and returns what comes back.
pub(crate) async fn pass(State(app): State<Shared>, mut request: Request) -> Response {
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = target.map(Uri::from).unwrap_or_default();
    strip(request.headers_mut());
    for name in OURS {
        request.headers_mut().remove(name);
    }
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    let socket = app.server.socket();
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) => {
            let why = format!("no server listens on {} ({error})", socket.display());
            return refuse("server_not_running", &why, "start it with `hero_runner --start`");
        }
    };
    let broke = |error: hyper::Error| {
        let why = format!("the connection to {} broke: {error}", socket.display());
        refuse("server_lost", &why, "`hero_runner --status` tells whether it works")
    };
    let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
        Ok(pair) => pair,
        Err(error) => return broke(error),
    };
    // It ends when the reply was read or dropped: a browser that goes away takes it along.
    tokio::spawn(connection);
    match sender.send_request(request).await {
        Ok(mut reply) => {
            strip(reply.headers_mut());
            reply.map(Body::new)
        }
        Err(error) => broke(error),
    }
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP {
        headers.remove(name);
    }
}

fn refuse(name: &str, message: &str, hint: &str) -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, name, message, hint, true)
}

/// An error of this program's own, in the shape of JSON-RPC's.
pub(crate) fn error(status: StatusCode, name: &str, message: &str, hint: &str, retryable: bool) -> Response {
    let data = json!({ "code_name": name, "retryable": retryable, "hint": hint });
    let error = json!({ "code": -32600, "message": message, "data": data });
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": error });
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
