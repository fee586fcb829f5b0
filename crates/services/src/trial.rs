//! A handler's first request, before anybody else's: without it a version that answers nothing would be found out by users.

use std::sync::Arc;
use std::time::Duration;

use api::ModuleKind;
use api::error::{Error, ErrorCode};
use gateway::Body;
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;

use crate::declaration::Declaration;
use crate::probe::get;
use crate::{Inner, Result, cgi, proxy};

/// Asks a handler that serves nobody yet for its health path. Any answer but a failure of its own (a status of 500 and above)
/// is good: it may know no such path.
///
/// # Errors
/// `service_failed` with what is wrong.
pub(crate) async fn answers(inner: &Arc<Inner>, declaration: &Arc<Declaration>) -> Result<()> {
    let path = &declaration.spec.health.path;
    let failed = |why: String| {
        let message = format!("service {:?}: GET {path}: {why}", declaration.name);
        Err(Error::new(ErrorCode::ServiceFailed, message))
    };
    let period = Duration::from_secs(declaration.spec.health.start_period_secs);
    match tokio::time::timeout(period, status(inner, declaration, path)).await {
        Ok(Ok(status)) if status.is_server_error() => failed(format!("it answered {}", status.as_u16())),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) => failed(why),
        Err(_) => failed(format!("no answer in {} s (health.start_period_secs)", period.as_secs())),
    }
}

async fn status(
    inner: &Arc<Inner>,
    declaration: &Arc<Declaration>,
    path: &str,
) -> std::result::Result<StatusCode, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let request = get(path).map_err(|error| text(&error))?;
    let (kind, _) = inner.supervisor.module_kind(declaration.module()).map_err(|error| text(&error))?;
    if kind == ModuleKind::Core {
        return cgi::try_out(
            inner,
            declaration,
            request.map(|empty| Body::new(empty.map_err(|e| match e {}))),
        )
        .await;
    }
    let begun = proxy::begin(inner, Arc::clone(declaration)).await.map_err(|error| text(&error))?;
    let session = begun.session;
    let connection = hyper::client::conn::http1::handshake(TokioIo::new(begun.stream)).await;
    let (mut sender, connection) = connection.map_err(|error| text(&error))?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    drop(sender);
    connection.abort();
    match answer {
        Ok(answer) => {
            session.stop(Duration::ZERO);
            Ok(answer.status())
        }
        Err(_) => {
            let outcome = session.ended().await;
            Err(format!("it gave no answer: its session {} {outcome}", session.id()))
        }
    }
}
