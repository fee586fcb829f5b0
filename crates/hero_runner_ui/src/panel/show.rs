//! `GET /panel`: the panel.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::pages::{self, Alert, Refresh};
use crate::app::Shared;
use crate::server::{self, Failure, Kind};
use crate::view::now_ms;

/// The panel as it is now. With `?hold` it stays as it is, for those whom a page that changes disturbs.
pub(crate) async fn show(State(app): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let refresh = match query.as_deref() {
        Some("hold") => Refresh::Held,
        _ => Refresh::On,
    };
    match server::overview(&app.server).await {
        Ok(overview) => pages::panel(StatusCode::OK, &app, &overview, None, refresh, now_ms()),
        Err(failure) => pages::no_panel(&failure),
    }
}

/// The panel below what went wrong.
pub(crate) async fn with_failure(app: &Shared, title: String, failure: Failure) -> Response {
    if !matches!(failure.kind, Kind::Refused | Kind::Older) {
        return pages::no_panel(&failure);
    }
    match server::overview(&app.server).await {
        Ok(overview) => {
            let status = failure.status;
            let alert = Alert { title, reason: failure.reason, hint: failure.hint };
            pages::panel(status, app, &overview, Some(alert), Refresh::Off, now_ms())
        }
        Err(failure) => pages::no_panel(&failure),
    }
}
