//! What stands before everything that comes through the port.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;

use super::origin::{self, Foreign, Hosts};
use super::token::{Fault, Tokens};
use super::{Door, TOKEN_HEADER, reading};
use crate::proxy::error;

/// The largest call that is looked at to see whether it only reads, in bytes. With the token, all sizes pass.
const READING_MAX: usize = 1 << 20;

/// Where the token is to be had.
const HINT: &str = "`hero_runner ui` prints a URL with the token; open it once in this browser";

/// Who may do what through the port.
#[derive(Debug)]
pub struct Guard {
    /// The names under which it is reached.
    pub hosts: Hosts,
    /// What allows to change something.
    pub tokens: Tokens,
}

/// Lets a request pass, or answers it.
pub(crate) async fn check(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    if let Err(foreign) = origin::check(request.method(), request.uri(), request.headers(), &guard.hosts) {
        return refuse_foreign(foreign, &request);
    }
    request.extensions_mut().insert(Door::Tcp);
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let mut shown = request.headers().get_all(TOKEN_HEADER).iter();
    let token = shown.next().filter(|_| shown.next().is_none()).map(|token| token.as_bytes());
    match guard.tokens.check(token) {
        Ok(()) => next.run(request).await,
        Err(fault) if request.uri().path() == "/rpc" => reading_call(fault, request, next).await,
        Err(fault) => refuse_token(fault),
    }
}

/// A call without the token passes if all that it does is to read.
async fn reading_call(fault: Fault, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, READING_MAX).await else { return refuse_token(fault) };
    let Ok(call) = serde_json::from_slice::<Value>(&bytes) else { return refuse_token(fault) };
    if !reading::only_reads(&call) {
        return refuse_token(fault);
    }
    // What was looked at is what is passed on, and no other way to read the same bytes.
    let text = call.to_string();
    head.headers.insert(header::CONTENT_LENGTH, text.len().into());
    head.headers.remove(header::TRANSFER_ENCODING);
    next.run(Request::from_parts(head, Body::from(text))).await
}

fn refuse_token(fault: Fault) -> Response {
    error(StatusCode::UNAUTHORIZED, fault.name(), &fault.to_string(), HINT, false)
}

fn refuse_foreign(foreign: Foreign, request: &Request) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host: String = host.chars().take(64).collect();
    tracing::debug!(?foreign, host, "a request was refused");
    match foreign {
        Foreign::Host => {
            let why = format!("the dashboard is not served under the name `{host}`");
            let hint = "use the URL that `hero_runner ui` prints, or start hero_runner_ui with --host NAME";
            error(StatusCode::FORBIDDEN, "host_refused", &why, hint, false)
        }
        Foreign::Origin => {
            let why = "this request comes from another site";
            error(StatusCode::FORBIDDEN, "origin_refused", why, "use the dashboard's own pages", false)
        }
    }
}
