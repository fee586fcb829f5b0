//! Handlers that are components: each process serves `wasi:http` on a connection of its own, one request after the other, up
//! to `max_requests`. The gateway keeps connections whose process waits for another request, and asks here for a new one
//! when there is none.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::time::Duration;

use api::Outcome;
use api::error::{Error, ErrorCode};
use api::service::ServiceState;
use gateway::{BoxFuture, Dial, Dialed, Line, Refusal};
use http::StatusCode;
use supervisor::{Serving, SessionHandle, Wiring};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use crate::Inner;
use crate::cgi::{limit, no_session};
use crate::declaration::Declaration;
use crate::instance::request;
use crate::service::Service;

/// How much longer the gateway waits than the process itself, which can tell better what was wrong.
const SLACK: Duration = Duration::from_millis(500);

/// How long a session may take to end once its connection is gone.
const END: Duration = Duration::from_secs(1);

/// The name of the trap of a guest that was interrupted because its time was over.
const INTERRUPTED: &str = "interrupted";

/// The processes of a handler that is a component.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) inner: Arc<Inner>,
    pub(crate) service: Arc<Service>,
}

impl Dial for Processes {
    fn dial(&self) -> BoxFuture<'static, Result<Dialed, Refusal>> {
        let (inner, service) = (Arc::clone(&self.inner), Arc::clone(&self.service));
        Box::pin(async move {
            let begun = begin(&inner, service.declaration()).await;
            begun.map(|begun| begun.dialed(service.clone())).map_err(|error| no_session(&service, &error))
        })
    }

    fn timeout(&self) -> Duration {
        limit(&self.service.declaration()) + SLACK
    }
}

/// A process that has begun, and the connection to it.
pub(crate) struct Begun {
    inner: Arc<Inner>,
    declaration: Arc<Declaration>,
    digest: Arc<str>,
    pub(crate) session: SessionHandle,
    pub(crate) stream: UnixStream,
    limit: Duration,
    many: bool,
}

impl Begun {
    fn dialed(self, service: Arc<Service>) -> Dialed {
        let Self { inner, declaration, digest, session, stream, limit, many } = self;
        let process = Process { inner, service, declaration, digest, session, limit, many };
        Dialed { stream, line: Arc::new(process) }
    }
}

/// Starts a session in the supervisor's runtime, and returns the other end of its connection in this one.
///
/// # Errors
/// Those of `session_start`, or when no descriptor is left.
pub(crate) async fn begin(inner: &Arc<Inner>, declaration: Arc<Declaration>) -> Result<Begun, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::new(ErrorCode::ResourceExhausted, error.to_string());
    let connected = || {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        Ok((UnixStream::from_std(ours)?, theirs))
    };
    let (stream, theirs) = connected().map_err(|error: std::io::Error| failed(&error))?;
    let limit = limit(&declaration);
    let max_requests = about(declaration.spec.max_requests.unwrap_or(1));
    let (_, digest) = inner.supervisor.module_kind(declaration.module())?;
    let mut start = request(&declaration);
    // Who answers once is ended by the supervisor too; a process that answers many times has no limit of its own.
    start.timeout_ms = Some(if max_requests == 1 { limit.as_millis() as u64 } else { 0 });
    let serve = Serving { max_requests, timeout: limit, connection: Arc::new(theirs.into()) };
    let supervisor = inner.supervisor.clone();
    let (tell, told) = oneshot::channel();
    inner.runtime.spawn(async move {
        let wiring = Wiring { serve: Some(serve), ..Wiring::default() };
        // A client that goes away meanwhile closes the connection, and with that the session ends.
        let _ = tell.send(supervisor.session_start_wired(start, wiring).await);
    });
    let session = told.await.map_err(|error| failed(&error))??;
    let inner = Arc::clone(inner);
    Ok(Begun { inner, declaration, digest, session, stream, limit, many: max_requests > 1 })
}

/// This number, give or take a tenth: processes that began together are not all replaced together.
fn about(number: u32) -> u32 {
    let tenth = number / 10;
    let random = RandomState::new().build_hasher().finish();
    let offset = random % (2 * u64::from(tenth) + 1);
    number - tenth + u32::try_from(offset).unwrap_or_default()
}

/// A process that answers requests.
struct Process {
    inner: Arc<Inner>,
    service: Arc<Service>,
    /// What it was started by.
    declaration: Arc<Declaration>,
    digest: Arc<str>,
    session: SessionHandle,
    limit: Duration,
    /// Whether it may answer more than one request.
    many: bool,
}

impl Line for Process {
    fn is_wanted(&self) -> bool {
        let current = || {
            let module = self.inner.supervisor.module_kind(self.declaration.module());
            module.is_ok_and(|(_, digest)| digest == self.digest)
        };
        self.service.state() == ServiceState::Ready
            && Arc::ptr_eq(&self.service.declaration(), &self.declaration)
            && current()
    }

    fn lost(&self, late: bool) -> BoxFuture<'static, Refusal> {
        let (name, session, limit) = (self.service.name.clone(), self.session.clone(), self.limit);
        Box::pin(async move {
            let id = session.id();
            if late {
                session.stop(Duration::ZERO);
            }
            let outcome = tokio::time::timeout(END, session.ended()).await;
            let (status, why) = match outcome {
                Ok(outcome) if late || is_late(&outcome) => {
                    let ms = limit.as_millis();
                    (StatusCode::GATEWAY_TIMEOUT, format!(" in {ms} ms: its session {id} {outcome}"))
                }
                Ok(outcome) => (StatusCode::BAD_GATEWAY, format!(": its session {id} {outcome}")),
                Err(_) => {
                    session.stop(Duration::ZERO);
                    (StatusCode::BAD_GATEWAY, format!(": its session {id} closed the connection"))
                }
            };
            let reason = format!("service {name:?} gave no answer{why}");
            Refusal { status, reason, retry_after: None }
        })
    }

    fn cut(&self) {
        self.session.stop(Duration::ZERO);
    }
}

fn is_late(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::TimedOut => true,
        Outcome::Trapped { trap, .. } => trap == INTERRUPTED,
        _ => false,
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its connection is closed, so it ends by itself, if it can be believed.
        if self.many {
            let (session, limit) = (self.session.clone(), self.limit + END);
            self.inner.runtime.spawn(async move {
                if tokio::time::timeout(limit, session.ended()).await.is_err() {
                    session.stop(Duration::ZERO);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::about;

    #[test]
    fn a_number_is_met_give_or_take_a_tenth() {
        assert_eq!(about(1), 1);
        assert_eq!(about(9), 9);
        let met: std::collections::BTreeSet<u32> = (0..1000).map(|_| about(100)).collect();
        assert!(met.iter().all(|number| (90..=110).contains(number)), "{met:?}");
        assert!(met.len() > 10, "{met:?}");
        assert!(about(u32::MAX / 2) > 1);
    }
}
