//! Handlers: a request becomes a session, CGI/1.1 (RFC 3875): the request in its environment and on its standard input, the
//! answer on its standard output.

mod environment;
mod head;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use api::Outcome;
use api::error::{Error, ErrorCode};
use api::session::SessionStart;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use gateway::{Body, Call, Refusal, Respond};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use supervisor::{SessionHandle, Wiring};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::Inner;
use crate::declaration::Declaration;
use crate::instance::request;
use crate::service::{Service, lock};
use environment::environment;
use head::{Head, MAX_HEAD, parse};

/// The longest that a request may take whose service does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// So much of a body is taken before the session starts, in bytes; the rest follows while it runs.
const AHEAD: usize = 64 * 1024;

/// A service's handler, for one request.
pub(crate) struct Handler {
    inner: Arc<Inner>,
    service: Arc<Service>,
}

impl Handler {
    pub(crate) fn new(inner: &Arc<Inner>, service: &Arc<Service>) -> Self {
        Self { inner: Arc::clone(inner), service: Arc::clone(service) }
    }
}

impl Respond for Handler {
    fn respond(&self, call: Call) -> BoxFuture<'static, Result<Response<Body>, Refusal>> {
        Box::pin(respond(Arc::clone(&self.inner), Arc::clone(&self.service), call))
    }
}

fn refusal(status: StatusCode, reason: String) -> Refusal {
    Refusal { status, reason, retry_after: None }
}

async fn respond(
    inner: Arc<Inner>,
    service: Arc<Service>,
    mut call: Call,
) -> Result<Response<Body>, Refusal> {
    let declaration = service.declaration();
    let limit = limit(&declaration);
    let permit = permit(&service).await?;
    let mut body = std::mem::take(call.request.body_mut());
    let (ahead, more) = take_ahead(&mut body).await?;
    let announced = call
        .request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    // A request without a body has no length either.
    let whole = (announced.is_some() || !ahead.is_empty()).then_some(ahead.len() as u64);
    let length = if more { announced } else { whole };
    let mut start = request(&declaration);
    start.env_vars.extend(environment(&call, length));
    start.timeout_ms = Some(limit.as_millis() as u64);
    start.stdin_open = more;
    let begun = begin(&inner, start, ahead, permit).await;
    let (mut running, stdout) = begun.map_err(|error| no_session(&service, &error))?;
    if more {
        tokio::spawn(feed(running.session.clone(), body));
    }
    let broken = |error: std::io::Error| {
        refusal(StatusCode::BAD_GATEWAY, format!("its output cannot be read: {error}"))
    };
    let mut stdout = pipe::Receiver::from_owned_fd(stdout).map_err(broken)?;
    let mut got = BytesMut::with_capacity(4096);
    let head = match read_head(&mut stdout, &mut got).await.map_err(broken)? {
        Ok(Some(head)) => head,
        Ok(None) => {
            let outcome = running.session.ended().await;
            running.over = true;
            return Err(no_head(&service, &running.session, &outcome));
        }
        Err(why) => {
            let reason = format!("service {:?} answered without a right head: {why}", service.name);
            return Err(refusal(StatusCode::BAD_GATEWAY, reason));
        }
    };
    lock(&service.view).used = std::time::Instant::now();
    let mut response = Response::builder().status(head.status).body(Body::new(StreamBody::new(output(
        stdout,
        got.freeze(),
        running,
    ))));
    if let Ok(response) = &mut response {
        *response.headers_mut() = head.headers;
    }
    response.map_err(|error| refusal(StatusCode::BAD_GATEWAY, error.to_string()))
}

/// Reads the head of an answer; what follows it stays in `got`. `None` when the output ends before.
async fn read_head(
    stdout: &mut pipe::Receiver,
    got: &mut BytesMut,
) -> std::io::Result<Result<Option<Head>, String>> {
    loop {
        match parse(got) {
            Ok(Some((head, length))) => {
                let _ = got.split_to(length);
                return Ok(Ok(Some(head)));
            }
            Ok(None) => {}
            Err(why) => return Ok(Err(why.to_string())),
        }
        got.reserve(4096.min(MAX_HEAD));
        if stdout.read_buf(got).await? == 0 {
            return Ok(Ok(None));
        }
    }
}

/// The status with which a handler that serves nobody yet answers `GET path`.
///
/// # Errors
/// Why it does not answer.
pub(crate) async fn try_out(
    inner: &Arc<Inner>,
    declaration: &Declaration,
    request: Request<Body>,
) -> Result<u16, String> {
    let rest = request.uri().path().to_owned();
    let prefix = declaration.spec.prefix.trim_matches('/').to_owned();
    let call = Call { request, prefix, rest, peer: None, https: false };
    let mut start = self::request(declaration);
    start.env_vars.extend(environment(&call, None));
    start.timeout_ms = Some(limit(declaration).as_millis() as u64);
    let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.map_err(|error| error.to_string())?;
    let (mut running, stdout) =
        begin(inner, start, Bytes::new(), permit).await.map_err(|error| error.to_string())?;
    let mut stdout = pipe::Receiver::from_owned_fd(stdout).map_err(|error| error.to_string())?;
    match read_head(&mut stdout, &mut BytesMut::new()).await.map_err(|error| error.to_string())? {
        Ok(Some(head)) => Ok(head.status.as_u16()),
        Ok(None) => {
            let outcome = running.session.ended().await;
            running.over = true;
            Err(format!("it gave no answer: its session {} {outcome}", running.session.id()))
        }
        Err(why) => Err(format!("it answered without a right head: {why}")),
    }
}

/// The longest that a request may take.
pub(crate) fn limit(declaration: &Declaration) -> Duration {
    declaration.spec.timeout_ms.map_or(TIMEOUT, Duration::from_millis)
}

/// Waits until there may be another request, for as long as one may take.
pub(crate) async fn permit(service: &Service) -> Result<OwnedSemaphorePermit, Refusal> {
    let limit = limit(&service.declaration());
    let permit = tokio::time::timeout(limit, service.permits().acquire_owned()).await;
    permit.ok().and_then(Result::ok).ok_or_else(|| {
        let reason = format!("service {:?} answers as many requests as it may", service.name);
        let retry_after = Some(Duration::from_secs(1));
        Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason, retry_after }
    })
}

/// Why there is no session for a request.
pub(crate) fn no_session(service: &Service, error: &Error) -> Refusal {
    let retry_after = error.code.retryable().then_some(Duration::from_secs(1));
    let reason = format!("service {:?} cannot begin a session: {error}", service.name);
    Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason, retry_after }
}

/// Why there is no answer.
fn no_head(service: &Service, session: &SessionHandle, outcome: &Outcome) -> Refusal {
    let status = match outcome {
        Outcome::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    let reason = format!("service {:?} gave no answer: its session {} {outcome}", service.name, session.id());
    refusal(status, reason)
}

/// Takes the beginning of a body, and whether there may be more.
async fn take_ahead(body: &mut Body) -> Result<(Bytes, bool), Refusal> {
    let mut ahead = BytesMut::new();
    while ahead.len() < AHEAD {
        match body.frame().await {
            None => return Ok((ahead.freeze(), false)),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    ahead.extend_from_slice(&bytes);
                }
            }
            Some(Err(error)) => {
                return Err(refusal(
                    StatusCode::BAD_REQUEST,
                    format!("the request's body broke off: {error}"),
                ));
            }
        }
    }
    Ok((ahead.freeze(), true))
}

/// Starts the session in the supervisor's runtime; its standard output comes with it.
async fn begin(
    inner: &Arc<Inner>,
    start: SessionStart,
    stdin: Bytes,
    permit: OwnedSemaphorePermit,
) -> Result<(Running, OwnedFd), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::new(ErrorCode::ResourceExhausted, error.to_string());
    let (stdout, theirs) = std::io::pipe().map_err(|error| failed(&error))?;
    let supervisor = inner.supervisor.clone();
    let (tell, told) = oneshot::channel();
    inner.runtime.spawn(async move {
        let wiring = Wiring { stdin, stdout: Some(theirs.into()), ..Wiring::default() };
        let started = supervisor.session_start_wired(start, wiring).await;
        // A client that goes away takes its session with it, at whatever moment.
        let running = started.map(|session| Running { session, over: false, _permit: permit });
        let _ = tell.send(running);
    });
    Ok((told.await.map_err(|error| failed(&error))??, stdout.into()))
}

/// Brings the rest of a body to its session.
async fn feed(session: SessionHandle, mut body: Body) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(bytes) = frame.into_data()
            && session.write(&bytes, false).await.is_err()
        {
            // It reads no more, which is its right.
            return;
        }
    }
    let _ = session.write(&[], true).await;
}

/// What a handler writes behind its head. When its session does not end well, the answer is cut off: the client has to see
/// that it is not whole.
fn output(
    stdout: pipe::Receiver,
    first: Bytes,
    running: Running,
) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + 'static {
    futures_util::stream::unfold(
        (stdout, first, Some(running)),
        |(mut stdout, mut first, running)| async move {
            let mut running = running?;
            if !first.is_empty() {
                let rest = std::mem::take(&mut first);
                return Some((Ok(Frame::data(rest)), (stdout, first, Some(running))));
            }
            let mut bytes = BytesMut::with_capacity(16 * 1024);
            match stdout.read_buf(&mut bytes).await {
                Ok(0) => {
                    let outcome = running.session.ended().await;
                    running.over = true;
                    match outcome {
                        // A code is for whoever reads the session's record; what it wrote is whole.
                        Outcome::Exited { .. } => None,
                        other => Some((
                            Err(std::io::Error::other(format!("its session {other}"))),
                            (stdout, first, None),
                        )),
                    }
                }
                Ok(_) => Some((Ok(Frame::data(bytes.freeze())), (stdout, first, Some(running)))),
                Err(error) => Some((Err(error), (stdout, first, None))),
            }
        },
    )
}

/// A session that answers a request.
struct Running {
    session: SessionHandle,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            self.session.stop(Duration::ZERO);
        }
    }
}
