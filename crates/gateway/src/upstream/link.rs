//! A connection to an upstream, driven by whoever has it.
//!
//! hyper's connection is a future that usually gets a task of its own. Here it has none: who waits for a response or
//! for a part of its body polls it. A request then wakes one task, and not two in turns.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::Failure;
use crate::socket::Socket;
use crate::timer::Timer;
use crate::upload::Upload;

/// A connection to an upstream.
#[derive(Debug)]
pub(crate) struct Link {
    sender: SendRequest<Upload>,
    connection: Connection<TokioIo<Socket>, Upload>,
    timer: Timer,
    /// When it was last of use.
    pub(super) used: Instant,
}

/// Why there is no response, and the request if nothing of it was written.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) failure: Failure,
    pub(super) unsent: Option<Request<Upload>>,
}

impl Link {
    pub(super) async fn new(socket: Socket) -> Result<Box<Self>, Failure> {
        let handshake = Builder::new().handshake(TokioIo::new(socket)).await;
        let (sender, connection) = handshake.map_err(Failure::Lost)?;
        Ok(Box::new(Self { sender, connection, timer: Timer::default(), used: Instant::now() }))
    }

    /// Sends a request and waits for the head of its response, for at most `timeout` while it is the upstream's turn.
    pub(super) async fn send(
        &mut self,
        request: Request<Upload>,
        timeout: Duration,
    ) -> Result<Response<Incoming>, Box<Error>> {
        let begun = Instant::now();
        let upload = request.body().clone();
        let Self { sender, connection, timer, .. } = self;
        // The response is ready in the poll of the connection that reads it, so nobody has to be woken for it. Without
        // the runtime's budget, because that would want to wake somebody.
        let mut response = pin!(tokio::task::coop::unconstrained(sender.try_send_request(request)));
        let mut quiet = Context::from_waker(Waker::noop());
        poll_fn(|cx| {
            let ended = connection.poll_without_shutdown(cx);
            if let Poll::Ready(result) = response.as_mut().poll(&mut quiet) {
                return Poll::Ready(result.map_err(|mut error| {
                    let unsent = error.take_message();
                    let failure =
                        upload.fault().map_or_else(|| Failure::Lost(error.into_error()), Failure::Upload);
                    Box::new(Error { failure, unsent })
                }));
            }
            if let Poll::Ready(Err(error)) = ended {
                return Poll::Ready(Err(Box::new(Error { failure: Failure::Lost(error), unsent: None })));
            }
            let late =
                upload.upstream_since(begun).is_some_and(|since| timer.poll(cx, since + timeout).is_ready());
            if late {
                return Poll::Ready(Err(Box::new(Error { failure: Failure::Timeout, unsent: None })));
            }
            Poll::Pending
        })
        .await
    }

    /// Reads and writes what can be; ready when the connection is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.connection.poll_without_shutdown(cx)
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
