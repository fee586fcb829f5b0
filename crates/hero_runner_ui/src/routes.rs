//! What is served where.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tower_http::compression::CompressionLayer;

use crate::app::Shared;
use crate::door::guard::{self, Guard};
use crate::pages::problem;
use crate::shell::Visit;
use crate::{NAME, assets, pages, panel, proxy, shield};

/// What is served on `ui.sock`: everything.
pub fn unix(app: Shared) -> Router {
    finish(Router::new().merge(dashboard()).merge(panel::routes()), app)
}

/// What is served through the port: the dashboard, behind its guard.
pub fn tcp(app: Shared, guard: Arc<Guard>) -> Router {
    // Around everything, what is not found included.
    finish(dashboard(), app)
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .layer(middleware::map_response(shield::put_on))
}

fn finish(router: Router<Shared>, app: Shared) -> Router {
    router
        .fallback(no_such_page)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::map_response(shield::put_on))
        .with_state(app)
}

/// The pages, what they are made of, and what they ask the server for.
fn dashboard() -> Router<Shared> {
    let own = pages::routes()
        .route("/assets/{bundle}/{*name}", get(assets::show))
        .route("/health", get(health))
        .route("/.well-known/heroservice.json", get(heroservice))
        .layer(CompressionLayer::new());
    // Never compressed: a line shall not wait in a buffer until there are more.
    let passed = Router::new()
        .route("/rpc", post(proxy::pass))
        .route("/openrpc.json", get(proxy::pass))
        .route("/metrics", get(proxy::pass))
        .route("/sse/session/{id}", get(proxy::pass))
        .route("/upload", post(proxy::pass))
        .route("/modules", post(proxy::pass))
        .route("/modules/{name}", post(proxy::pass))
        .layer(DefaultBodyLimit::disable());
    own.merge(passed)
}

fn json_reply(body: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Whether this program works; the pages themselves tell whether the server does.
async fn health() -> Response {
    json_reply(&json!({ "status": "ok", "service": NAME, "version": api::VERSION }))
}

async fn heroservice() -> Response {
    json_reply(&json!({
        "protocol": "http",
        "name": NAME,
        "title": NAME,
        "version": api::VERSION,
        "description": "The dashboard of hero_runner: sessions, services, modules and logs in a browser.",
        "socket": "ui",
    }))
}

async fn no_such_page(visit: Visit, uri: Uri) -> Response {
    let what = format!("Nothing is served at {}.", shown(uri.path()));
    refuse(visit, &uri, StatusCode::NOT_FOUND, "No such page", &what).await
}

async fn no_such_method(visit: Visit, uri: Uri) -> Response {
    let what = format!("{} cannot be used in this way.", shown(uri.path()));
    refuse(visit, &uri, StatusCode::METHOD_NOT_ALLOWED, "Not so", &what).await
}

async fn refuse(visit: Visit, uri: &Uri, status: StatusCode, title: &str, what: &str) -> Response {
    if uri.path().starts_with("/panel") {
        return panel::message(status, title, what, None);
    }
    let shell = visit.shell("problem", "", title).await;
    problem::say(shell, status, title, what, None)
}

/// What comes back is bounded, whatever was sent.
fn shown(text: &str) -> String {
    text.chars().take(128).collect()
}
