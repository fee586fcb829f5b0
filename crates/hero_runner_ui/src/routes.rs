//! What is served where.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use client::Client;
use serde_json::json;

use crate::{NAME, actions, pages, panel, shield, style};

/// The largest form, in bytes.
const FORM_MAX: usize = 64 << 10;

/// The pages over this server.
pub fn router(server: Client) -> Router {
    Router::new()
        .route("/", get(panel::show))
        .route("/-/style.css", get(style::show))
        .route("/-/schedules/pause", post(actions::pause))
        .route("/-/schedules/resume", post(actions::resume))
        .route("/-/schedules/run", post(actions::run))
        .route("/health", get(health))
        .route("/.well-known/heroservice.json", get(heroservice))
        .fallback(no_such_page)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(FORM_MAX))
        .layer(middleware::map_response(shield::put_on))
        .with_state(server)
}

fn json_reply(body: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Whether this program works; the panel itself tells whether the server does.
async fn health() -> Response {
    json_reply(&json!({ "status": "ok", "service": NAME, "version": api::VERSION }))
}

async fn heroservice() -> Response {
    json_reply(&json!({
        "protocol": "http",
        "name": NAME,
        "title": NAME,
        "version": api::VERSION,
        "description": "The pages of hero_runner for a browser: services and their schedules.",
        "socket": "ui",
    }))
}

async fn no_such_page(uri: Uri) -> Response {
    let what = format!("Nothing is served at {}.", shown(uri.path()));
    pages::message(StatusCode::NOT_FOUND, "No such page", &what, None)
}

async fn no_such_method(uri: Uri) -> Response {
    let what = format!("{} cannot be used in this way.", shown(uri.path()));
    pages::message(StatusCode::METHOD_NOT_ALLOWED, "Not so", &what, None)
}

/// What comes back is bounded, whatever was sent.
fn shown(text: &str) -> String {
    text.chars().take(128).collect()
}
