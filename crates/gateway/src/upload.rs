//! A request's body on its way to a service: counted, timed, and kept so that it can be sent once more.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use crate::body::Error;
use crate::client::Client;
use crate::timer::Timer;

/// How long a body waits for the upstream's `100 Continue`. An upstream may know nothing of it, and then the client
/// must not wait for ever (RFC 9110, section 10.1.1).
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a body did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLarge,
    TooSlow,
    /// The client went away, or broke the framing.
    Lost,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the body of the request is too large",
            Self::TooSlow => "the body of the request came too slowly",
            Self::Lost => "the body of the request was lost on its way",
        })
    }
}

impl std::error::Error for Fault {}

/// The body of one request. Clones are the same body; hyper has one while the gateway looks at another.
#[derive(Debug, Clone)]
pub(crate) struct Upload(Option<Arc<Mutex<State>>>);

#[derive(Debug)]
struct State {
    body: Incoming,
    /// How many bytes may still come.
    left: u64,
    timeout: Duration,
    timer: Timer,
    /// Somebody asked for the first byte.
    begun: bool,
    /// It came to its end.
    ended: bool,
    /// Until when it waits for `100 Continue`.
    gate: Option<Instant>,
    /// Since when the client owes the next byte.
    owed: Option<Instant>,
    /// When the last byte was passed on.
    moved: Instant,
    fault: Option<Fault>,
}

impl Upload {
    /// No body needs no state.
    pub(crate) fn new(body: Incoming, client: &Client, max: u64) -> Self {
        if body.is_end_stream() {
            return Self(None);
        }
        let settings = &client.core.settings;
        Self(Some(Arc::new(Mutex::new(State {
            body,
            left: max,
            timeout: settings.body_timeout,
            timer: Timer::default(),
            begun: false,
            ended: false,
            gate: None,
            owed: None,
            moved: Instant::now(),
            fault: None,
        }))))
    }

    fn state(&self) -> Option<MutexGuard<'_, State>> {
        self.0.as_ref().map(|state| state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is no body.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether nobody has asked for it yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.state().is_none_or(|state| !state.begun)
    }

    /// Whether all of it was passed on.
    pub(crate) fn is_complete(&self) -> bool {
        self.state().is_none_or(|state| state.ended || state.body.is_end_stream())
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.state().and_then(|state| state.fault)
    }

    /// Since when it is the upstream's turn; not while the client owes a byte.
    pub(crate) fn upstream_since(&self, begun: Instant) -> Option<Instant> {
        let Some(state) = self.state() else { return Some(begun) };
        // Before the gate opens, it is the upstream that decides.
        if state.owed.is_some() { None } else { Some(begun.max(state.moved)) }
    }

    /// Holds the body back until [`Upload::open_gate`] is called. hyper tells the client to go on when somebody asks for the
    /// body, and that is the upstream's to decide.
    pub(crate) fn close_gate(&self) {
        if let Some(mut state) = self.state() {
            state.gate = Some(Instant::now() + CONTINUE_TIMEOUT);
        }
    }

    /// Lets the body through. Called from inside of the poll that asks for the body next, so nobody has to be woken.
    pub(crate) fn open_gate(&self) {
        if let Some(mut state) = self.state() {
            state.gate = None;
        }
    }
}

impl State {
    fn fail(&mut self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.fault = Some(fault);
        Poll::Ready(Some(Err(Box::new(fault))))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(until) = self.gate {
            if self.timer.poll(cx, until).is_pending() {
                return Poll::Pending;
            }
            self.gate = None;
        }
        self.begun = true;
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.owed = None;
                self.moved = Instant::now();
                let len = frame.data_ref().map_or(0, Bytes::len) as u64;
                match self.left.checked_sub(len) {
                    Some(left) => self.left = left,
                    None => return self.fail(Fault::TooLarge),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => self.fail(Fault::Lost),
            Poll::Ready(None) => {
                self.ended = true;
                self.owed = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                let owed = *self.owed.get_or_insert_with(Instant::now);
                match self.timer.poll(cx, owed + self.timeout) {
                    Poll::Ready(()) => self.fail(Fault::TooSlow),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.state().map_or(Poll::Ready(None), |mut state| state.poll(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.state().is_none_or(|state| state.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.state().map_or(SizeHint::with_exact(0), |state| state.body.size_hint())
    }
}
