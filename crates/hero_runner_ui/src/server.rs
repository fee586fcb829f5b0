//! What is asked of the server, and what it means for a page when that fails.

use std::time::Duration;

use api::ErrorCode;
use api::method::{Method, NoParams, ScheduleListMethod, ServiceListMethod};
use api::schedule::{ScheduleInfo, ScheduleQuery};
use api::service::ServiceList;
use api::stats::Health;
use axum::http::StatusCode;
use client::{Client, Error};
use serde_json::Value;

/// How long a list may take; a page that comes later helps nobody.
const ANSWER: Duration = Duration::from_secs(5);

/// JSON-RPC's own code for a method that the server does not know.
const METHOD_NOT_FOUND: i32 = -32601;

/// Everything that the panel shows.
#[derive(Debug)]
pub(crate) struct Overview {
    pub(crate) services: ServiceList,
    pub(crate) schedules: Vec<ScheduleInfo>,
}

/// Why there is no answer, or a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
    pub(crate) hint: Option<String>,
    pub(crate) kind: Kind,
}

/// What a failure says about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It does not run.
    Down,
    /// Something is there and does not answer as it should.
    Silent,
    /// It answered that it will not.
    Refused,
    /// It answered that it does not know the method: it is older than this program.
    Older,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (status, kind) = match &error {
            Error::Rpc { code: METHOD_NOT_FOUND, .. } => (StatusCode::NOT_IMPLEMENTED, Kind::Older),
            Error::NotRunning { .. } => (StatusCode::SERVICE_UNAVAILABLE, Kind::Down),
            Error::Io { .. } => (StatusCode::SERVICE_UNAVAILABLE, Kind::Silent),
            Error::Protocol(_) => (StatusCode::BAD_GATEWAY, Kind::Silent),
            Error::Rpc { .. } => (status(error.code()), Kind::Refused),
        };
        Self { status, reason: error.summary(), hint: error.hint().map(str::to_owned), kind }
    }
}

fn status(code: Option<ErrorCode>) -> StatusCode {
    match code {
        Some(
            ErrorCode::SessionNotFound
            | ErrorCode::ModuleNotFound
            | ErrorCode::TemplateNotFound
            | ErrorCode::ServiceNotFound
            | ErrorCode::ScheduleNotFound
            | ErrorCode::VersionNotFound,
        ) => StatusCode::NOT_FOUND,
        Some(ErrorCode::InvalidState) => StatusCode::CONFLICT,
        Some(ErrorCode::InvalidParams) => StatusCode::UNPROCESSABLE_ENTITY,
        Some(code) if code.retryable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    }
}

impl Failure {
    fn too_late(within: Duration) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            reason: format!("the server did not answer within {} s", within.as_secs()),
            hint: Some("`hero_runner --status` tells whether it works".to_owned()),
            kind: Kind::Silent,
        }
    }

    /// A failure of this program's own.
    pub(crate) fn internal(reason: String) -> Self {
        let hint = Some("its log, ui.log in the state folder, says more".to_owned());
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, reason, hint, kind: Kind::Refused }
    }
}

/// Calls a method that answers at once.
pub(crate) async fn ask<M: Method>(server: &Client, params: M::Params) -> Result<M::Reply, Failure> {
    in_time(server.call::<M>(params)).await
}

async fn in_time<T>(answer: impl Future<Output = client::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::too_late(ANSWER)),
    }
}

/// Asks how the server is.
pub(crate) async fn health(server: &Client) -> Result<Health, Failure> {
    in_time(server.health()).await
}

/// Asks for the document of the server's methods.
pub(crate) async fn openrpc(server: &Client) -> Result<Value, Failure> {
    in_time(server.openrpc()).await
}

/// Asks for everything that the panel shows.
pub(crate) async fn overview(server: &Client) -> Result<Overview, Failure> {
    let (services, schedules) = tokio::join!(
        ask::<ServiceListMethod>(server, NoParams {}),
        ask::<ScheduleListMethod>(server, ScheduleQuery::default()),
    );
    Ok(Overview { services: services?, schedules: schedules?.schedules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_status_that_belongs_to_it() {
        let refused = |code: ErrorCode| {
            Failure::from(Error::Rpc { code: code.code(), message: "no".into(), data: Some(code.into()) })
        };
        let gone = refused(ErrorCode::ScheduleNotFound);
        assert_eq!((gone.status, gone.kind), (StatusCode::NOT_FOUND, Kind::Refused));
        assert_eq!(gone.hint.as_deref(), Some("schedule_list shows the schedules"));
        assert_eq!(refused(ErrorCode::InvalidState).status, StatusCode::CONFLICT);
        assert_eq!(refused(ErrorCode::Draining).status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused(ErrorCode::Internal).status, StatusCode::BAD_GATEWAY);
    }
}
