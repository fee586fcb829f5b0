//! A connection to an upstream, driven by whoever has it.
//!
//! hyper's connection is a future that usually gets a task of its own. Here it has none: who waits for a response or
//! for a part of its body polls it. A request then wakes one task, and not two in turns. And since that task looks at
//! both ends of hyper's channels anyway, a [`Relay`] keeps them from waking it once more.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::Failure;
use crate::dial::Peer;
use crate::socket::Socket;
use crate::timer::Timer;
use crate::upload::Upload;

/// A connection to an upstream.
#[derive(Debug)]
pub(crate) struct Link {
    sender: SendRequest<Upload>,
    connection: Connection<TokioIo<Socket>, Upload>,
    timer: Timer,
    relay: Arc<Relay>,
    /// The relay, as the connection knows it.
    waker: Waker,
    /// When it was last of use.
    pub(super) used: Instant,
    /// Who is at the other end.
    pub(super) peer: Peer,
}

/// Whom the connection wakes.
#[derive(Debug, Default)]
struct Relay {
    task: Mutex<Option<Waker>>,
}

thread_local! {
    /// Whether this thread wakes nobody right now. Another one may, if the runtime has more.
    static MUTED: Cell<bool> = const { Cell::new(false) };
}

impl Relay {
    fn set(&self, task: Option<&Waker>) {
        let mut set = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *set, task) {
            (Some(old), Some(new)) => old.clone_from(new),
            (set, task) => *set = task.cloned(),
        }
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !MUTED.get()
            && let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner)
        {
            task.wake_by_ref();
        }
    }
}

/// Why there is no response, and the request if nothing of it was written.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) failure: Failure,
    pub(super) unsent: Option<Request<Upload>>,
}

impl Error {
    fn new(mut error: TrySendError<Request<Upload>>, upload: &Upload) -> Box<Self> {
        let unsent = error.take_message();
        let failure = upload.fault().map_or_else(|| Failure::Lost(error.into_error()), Failure::Upload);
        Box::new(Self { failure, unsent })
    }
}

impl Link {
    pub(super) async fn new(socket: Socket, peer: Peer) -> Result<Box<Self>, Failure> {
        let handshake = Builder::new().handshake(TokioIo::new(socket)).await;
        let (sender, connection) = handshake.map_err(Failure::Lost)?;
        let relay = Arc::<Relay>::default();
        let waker = Waker::from(relay.clone());
        let (timer, used) = (Timer::default(), Instant::now());
        Ok(Box::new(Self { sender, connection, timer, relay, waker, used, peer }))
    }

    /// Sends a request and waits for the head of its response, for at most `timeout` while it is the upstream's turn.
    pub(super) async fn send(
        mut self: Box<Self>,
        request: Request<Upload>,
        timeout: Duration,
    ) -> Result<(Response<Incoming>, Box<Self>), Box<Error>> {
        let begun = Instant::now();
        let upload = request.body().clone();
        self.peer.owes(true);
        // The response is ready in the poll of the connection that reads it, so nobody has to be woken for it. Without
        // the runtime's budget, because that would want to wake somebody.
        let mut response = pin!(tokio::task::coop::unconstrained(self.sender.try_send_request(request)));
        let answered = poll_fn(|cx| {
            let over = self.poll(cx).is_ready();
            let mut quiet = Context::from_waker(Waker::noop());
            match response.as_mut().poll(&mut quiet) {
                Poll::Ready(response) => return Poll::Ready(Some(Ok(response))),
                Poll::Pending if over => return Poll::Ready(None),
                Poll::Pending => {}
            }
            let Some(since) = upload.upstream_since(begun) else { return Poll::Pending };
            self.timer.poll(cx, since + timeout).map(|()| Some(Err(Failure::Timeout)))
        });
        let answered = match answered.await {
            Some(Ok(response)) => response,
            Some(Err(failure)) => return Err(Box::new(Error { failure, unsent: None })),
            None => {
                // It was closed before it took the request, and hands it back when it goes.
                self.peer.owes(false);
                let Self { sender, connection, .. } = *self;
                drop((sender, connection));
                return match response.await {
                    Ok(_) => Err(Box::new(Error { failure: Failure::Nonsense, unsent: None })),
                    Err(error) => Err(Error::new(error, &upload)),
                };
            }
        };
        match answered {
            Ok(response) => Ok((response, self)),
            Err(error) => {
                let error = Error::new(error, &upload);
                // One that has closed the connection owes nothing; one that was not told all of the request does.
                self.peer.owes(!matches!(error.failure, Failure::Lost(_)));
                Err(error)
            }
        }
    }

    /// Reads and writes what can be; ready when the connection is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.relay.set(Some(cx.waker()));
        self.connection.poll_without_shutdown(&mut Context::from_waker(&self.waker))
    }

    /// Does something that wakes the connection, for somebody who will poll it anyway.
    pub(super) fn muted<T>(how: impl FnOnce() -> T) -> T {
        MUTED.set(true);
        let result = how();
        MUTED.set(false);
        result
    }

    /// Wakes nobody until it is polled again.
    pub(super) fn rest(&mut self) {
        self.relay.set(None);
        self.used = Instant::now();
    }

    /// Whether it can take another request.
    pub(super) fn is_idle(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether the upstream has closed it, as far as is known.
    pub(super) fn is_over(&mut self) -> bool {
        self.poll(&mut Context::from_waker(Waker::noop())).is_ready() || !self.is_idle()
    }

    /// The stream and what was read from it already, after another protocol was agreed on.
    pub(crate) fn into_stream(self) -> (Socket, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }
}
