//! What is served where.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Method, StatusCode, Uri, header};
use serde_json::json;

use crate::core::{self, Core};
use crate::envelope::Limits;
use crate::methods::Methods;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::{metrics, packages, rpc, sse, upload};

const PATHS: &str = "POST /rpc, GET /openrpc.json, GET /health, GET /metrics, GET /.well-known/heroservice.json, \
                     GET /sse/session/{id}, POST /modules, POST /modules/{name}, POST /upload";

/// What every request sees.
#[derive(Debug)]
pub struct Routed<C> {
    /// The core.
    pub core: C,
    /// Its methods.
    pub methods: Methods,
    /// The largest body of a request, in bytes.
    pub body_max: u64,
    /// The limits of a batch.
    pub limits: Limits,
    /// When the server started, in seconds since the Unix epoch.
    pub started: f64,
}

/// The state, shared by all connections.
pub type Shared<C> = Arc<Routed<C>>;

/// The router for this core.
pub fn router<C: Core>(core: C, settings: &Settings) -> Router {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let state = Routed {
        methods: core.methods(),
        core,
        body_max: settings.body_max_bytes,
        limits: Limits {
            batch: size(settings.batch_max.into()),
            batch_reply_bytes: size(settings.batch_reply_max_bytes),
        },
        started: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64(),
    };
    Router::new()
        .route("/rpc", post(rpc::call::<C>))
        .route("/openrpc.json", get(openrpc))
        .route("/health", get(health::<C>))
        .route("/metrics", get(metrics::show::<C>))
        .route("/.well-known/heroservice.json", get(heroservice))
        .route("/sse/session/{id}", get(sse::session::<C>))
        .route("/modules", post(upload::anonymous::<C>))
        .route("/modules/{name}", post(upload::named::<C>))
        .route("/upload", post(packages::post::<C>))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(Arc::new(state))
}

fn json_reply(body: impl Into<Bytes>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

async fn openrpc() -> Response {
    json_reply(core::openrpc())
}

async fn health<C: Core>(State(shared): State<Shared<C>>) -> Response {
    json_reply(serde_json::to_vec(&shared.core.health().await).unwrap_or_default())
}

async fn heroservice() -> Response {
    let text = json!({
        "protocol": "openrpc",
        "name": api::SERVICE,
        "title": api::SERVICE,
        "version": api::VERSION,
        "description": "Runs untrusted WebAssembly programs as sessions, each in a process of its own.",
        "socket": "rpc",
    });
    json_reply(text.to_string())
}

async fn no_such_path(uri: Uri) -> Response {
    let message = format!("nothing is served at {}", shown(uri.path()));
    Refusal::http("path_not_found", &format!("there is: {PATHS}"), message).reply(StatusCode::NOT_FOUND)
}

async fn no_such_method(method: Method, uri: Uri) -> Response {
    let message = format!("{} does not take {}", shown(uri.path()), shown(method.as_str()));
    Refusal::http("method_not_allowed", &format!("there is: {PATHS}"), message)
        .reply(StatusCode::METHOD_NOT_ALLOWED)
}

/// What comes back is bounded, whatever was sent.
fn shown(text: &str) -> String {
    text.chars().take(128).collect()
}
