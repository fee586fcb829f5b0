//! One connection, one guest: a request after the other, in the order in which they come.
//!
//! Connection and guest are two futures of one task. The connection reads a request and hands it over, the guest sets an
//! answer, and while it goes on writing the connection sends what is there. Only when the guest's call has returned is
//! the next request taken, because an instance can be in one call at a time.

use std::cell::Cell;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use wasmtime::Store;
use wasmtime::component::Instance;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::answer::{BrokenOff, answer};

/// How much a session answers.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// After so many requests it ends; at least 1.
    pub max_requests: u32,
    /// The longest that one may take.
    pub timeout: Duration,
}

/// A request took longer than it may.
#[derive(Debug)]
pub struct TimedOut(pub Duration);

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a request was not answered in {} ms", self.0.as_millis())
    }
}

impl std::error::Error for TimedOut {}

/// The guest's function returned, and there is no answer.
#[derive(Debug)]
pub struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "incoming-handler#handle returned without an answer: response-outparam.set was not called",
        )
    }
}

impl std::error::Error for NoAnswer {}

/// What a guest sets.
type Set = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// A request, and where its answer goes.
struct Ask {
    request: Request<Incoming>,
    set: oneshot::Sender<Set>,
}

/// Answers the requests of a connected stream socket that does not block, until it is closed or there were as many as may
/// be. Has to be called inside of a runtime of one thread with I/O and time.
///
/// # Errors
/// How the guest failed; [`TimedOut`] and [`NoAnswer`] when it did not answer. The request of that moment gets no answer, or
/// one that is broken off.
pub async fn serve<T: WasiHttpView + 'static>(
    store: &mut Store<T>,
    instance: &Instance,
    socket: OwnedFd,
    limits: Limits,
) -> wasmtime::Result<()> {
    let proxy = Proxy::new(&mut *store, instance)?;
    let socket = UnixStream::from_std(StdStream::from(socket))?;
    // How many of the guest's calls have returned, and how many requests were taken: the next one may come before the call
    // that has answered the last one returns.
    let over = Rc::new(Cell::new(0));
    let (asks, mut asked) = mpsc::channel(1);
    let taken = Cell::new(0);
    let service = service_fn(|request| {
        let number = taken.get() + 1;
        taken.set(number);
        let last = number >= limits.max_requests;
        let (set, mut is_set) = oneshot::channel();
        // There is room: the one before was answered.
        let sent = asks.try_send(Ask { request, set }).map_err(|_| BrokenOff);
        let over = Rc::clone(&over);
        async move {
            sent?;
            let set = poll_fn(|cx| match pin!(&mut is_set).poll(cx) {
                Poll::Pending if over.get() >= number => Poll::Ready(Err(BrokenOff)),
                set => set.map_err(|_| BrokenOff),
            });
            Ok::<_, BrokenOff>(answer(set.await?, last, number, &over))
        }
    });
    // Who asks has its own clock and puts the date on what it passes on.
    let mut builder = Builder::new();
    builder.auto_date_header(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let mut open = true;
    let mut broken = false;
    let result = {
        let mut guest = pin!(answer_all(store, &proxy, &mut asked, limits, &over));
        poll_fn(|cx| {
            loop {
                if open && let Poll::Ready(closed) = connection.as_mut().poll(cx) {
                    open = false;
                    broken = closed.is_err();
                }
                let before = over.get();
                if let Poll::Ready(result) = guest.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                // A call that has just returned may have left an answer without an end.
                if !open || over.get() == before {
                    break;
                }
            }
            // A guest whose client is gone has nobody to go on for. One that was answered whole may have something left to do.
            if open || !broken && over.get() < taken.get() { Poll::Pending } else { Poll::Ready(Ok(())) }
        })
        .await
    };
    over.set(u32::MAX);
    if open {
        connection.as_mut().graceful_shutdown();
        // A client that does not take the rest of its answer in this time does not get it.
        let _ = tokio::time::timeout(limits.timeout, connection).await;
    }
    result
}

/// Calls the guest for each request.
async fn answer_all<T: WasiHttpView + 'static>(
    store: &mut Store<T>,
    proxy: &Proxy,
    asked: &mut mpsc::Receiver<Ask>,
    limits: Limits,
    over: &Cell<u32>,
) -> wasmtime::Result<()> {
    let is_set = Arc::new(AtomicBool::new(false));
    for _ in 0..limits.max_requests {
        let Some(Ask { request, set }) = asked.recv().await else { break };
        is_set.store(false, Relaxed);
        let tell = Arc::clone(&is_set);
        let http = &mut store.data_mut().http();
        let out = http.new_response_outparam_from_callback(move |result| {
            tell.store(true, Relaxed);
            // The client may be gone.
            let _ = set.send(result);
        })?;
        let request = http.new_incoming_request(Scheme::Http, request)?;
        let handled = proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out);
        match tokio::time::timeout(limits.timeout, handled).await {
            Ok(result) => result?,
            Err(_) => return Err(TimedOut(limits.timeout).into()),
        }
        over.set(over.get() + 1);
        if !is_set.load(Relaxed) {
            return Err(NoAnswer.into());
        }
    }
    Ok(())
}
