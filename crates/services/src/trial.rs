//! A handler's first request, before anybody else's: without it a version that answers nothing would be found out by users.

use std::sync::Arc;
use std::time::Duration;

use api::ModuleKind;
use api::error::{Error, ErrorCode};
use gateway::Body;
use http_body_util::BodyExt as _;

use crate::declaration::Declaration;
use crate::probe::{ask, get};
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
        Ok(Ok(status @ 500..)) => failed(format!("it answered {status}")),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) => failed(why),
        Err(_) => failed(format!("no answer in {} s (health.start_period_secs)", period.as_secs())),
    }
}

async fn status(
    inner: &Arc<Inner>,
    declaration: &Arc<Declaration>,
    path: &str,
) -> std::result::Result<u16, String> {
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
    match ask(begun.stream, request).await {
        Ok(status) => {
            session.stop(Duration::ZERO);
            Ok(status)
        }
        Err(_) => {
            let outcome = session.ended().await;
            Err(format!("it gave no answer: its session {} {outcome}", session.id()))
        }
    }
}
