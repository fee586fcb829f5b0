//! The panel: one page without scripts, for the gateway, whose services share its origin and so must not share the dashboard's.
//!
//! The gateway passes on `/` as `/panel`, and `/-/…` as `/panel/-/…`; the links of the panel are those of the gateway.

mod actions;
mod pages;
mod show;
mod style;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};

use crate::app::Shared;
use crate::shield;

pub(crate) use pages::message;

/// The largest form, in bytes.
const FORM_MAX: usize = 64 << 10;

/// The routes of the panel.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/panel", get(show::show))
        .route("/panel/-/style.css", get(style::show))
        .route("/panel/-/schedules/pause", post(actions::pause))
        .route("/panel/-/schedules/resume", post(actions::resume))
        .route("/panel/-/schedules/run", post(actions::run))
        .layer(DefaultBodyLimit::max(FORM_MAX))
        .layer(middleware::map_response(shield::panel))
}
