//! The forms of the panel: `POST /-/schedules/pause`, `resume` and `run`.

use std::time::Duration;

use api::method::{Method, SchedulePauseMethod, ScheduleResumeMethod, ScheduleRunNowMethod};
use api::schedule::ScheduleRef;
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{pages, show};
use crate::app::Shared;
use crate::server::{self, Failure};

/// How long the browser waits for a call that was asked for now. A longer one goes on; the panel shows it as running.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a form sends; unknown fields do no harm.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    /// The schedule.
    id: String,
}

type Sent = Result<Form<Target>, FormRejection>;

/// `POST /-/schedules/pause`.
pub(crate) async fn pause(State(app): State<Shared>, sent: Sent) -> Response {
    at_once::<SchedulePauseMethod>(&app, "pause", sent).await
}

/// `POST /-/schedules/resume`.
pub(crate) async fn resume(State(app): State<Shared>, sent: Sent) -> Response {
    at_once::<ScheduleResumeMethod>(&app, "resume", sent).await
}

async fn at_once<M: Method<Params = ScheduleRef>>(app: &Shared, verb: &str, sent: Sent) -> Response {
    let id = match sent {
        Ok(Form(Target { id })) => id,
        Err(rejection) => return wrong_form(&rejection),
    };
    match server::ask::<M>(&app.server, ScheduleRef { id: id.clone() }).await {
        Ok(_) => to_panel(),
        Err(failure) => show::with_failure(app, format!("Cannot {verb} {id}"), failure).await,
    }
}

/// `POST /-/schedules/run`. How the call went is its last result on the panel, good or bad.
pub(crate) async fn run(State(app): State<Shared>, sent: Sent) -> Response {
    let id = match sent {
        Ok(Form(Target { id })) => id,
        Err(rejection) => return wrong_form(&rejection),
    };
    let (task_server, task_id) = (app.server.clone(), id.clone());
    // A task of its own: the call shall not be given up because a browser no longer waits.
    let call =
        tokio::spawn(
            async move { task_server.call::<ScheduleRunNowMethod>(ScheduleRef { id: task_id }).await },
        );
    let failure = match tokio::time::timeout(PATIENCE, call).await {
        Err(_) | Ok(Ok(Ok(_))) => return to_panel(),
        Ok(Ok(Err(error))) => Failure::from(error),
        Ok(Err(error)) => Failure::internal(format!("the call was lost: {error}")),
    };
    show::with_failure(&app, format!("Cannot run {id}"), failure).await
}

/// Back to the panel by `GET`, so that reloading it sends nothing again.
fn to_panel() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response()
}

fn wrong_form(rejection: &FormRejection) -> Response {
    let why = rejection.body_text();
    pages::message(rejection.status(), "This form cannot be read", &why, None)
}
