//! `GET /`: the panel.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use client::Client;

use crate::pages::{self, Alert, Refresh};
use crate::server::{self, Failure, Kind};

/// Milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The panel as it is now. With `?hold` it stays as it is, for those whom a page that changes disturbs.
pub(crate) async fn show(State(server): State<Client>, RawQuery(query): RawQuery) -> Response {
    let refresh = match query.as_deref() {
        Some("hold") => Refresh::Held,
        _ => Refresh::On,
    };
    match server::overview(&server).await {
        Ok(overview) => pages::panel(StatusCode::OK, &overview, None, refresh, now_ms()),
        Err(failure) => pages::no_panel(&failure),
    }
}

/// The panel below what went wrong.
pub(crate) async fn with_failure(server: &Client, title: String, failure: Failure) -> Response {
    if failure.kind != Kind::Refused {
        return pages::no_panel(&failure);
    }
    match server::overview(server).await {
        Ok(overview) => {
            let status = failure.status;
            let alert = Alert { title, reason: failure.reason, hint: failure.hint };
            pages::panel(status, &overview, Some(alert), Refresh::Off, now_ms())
        }
        Err(failure) => pages::no_panel(&failure),
    }
}
