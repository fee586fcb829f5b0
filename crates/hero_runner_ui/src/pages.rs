//! The pages of the dashboard: one module for each.

mod admin;
mod docs;
mod log_text;
mod logs;
mod module;
mod modules;
pub(crate) mod problem;
mod run;
mod schedules;
mod service;
mod services;
mod session;
pub(crate) mod sessions;
mod stats;
mod template;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;

use crate::app::Shared;

/// All pages.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(async || Redirect::temporary("/sessions")))
        .route("/sessions", get(sessions::show))
        .route("/sessions/{id}", get(session::show))
        .route("/sessions/{id}/log.txt", get(log_text::show))
        .route("/run", get(run::show))
        .route("/modules", get(modules::show))
        .route("/modules/{name}", get(module::show))
        .route("/templates/{name}", get(template::show))
        .route("/logs", get(logs::show))
        .route("/stats", get(stats::show))
        .route("/admin", get(admin::show))
        .route("/docs", get(docs::index))
        .route("/docs/{method}", get(docs::method))
        .route("/services", get(services::show))
        .route("/services/{name}", get(service::show))
        .route("/schedules", get(schedules::show))
}
