//! What a guest answers, on its way to the connection.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// Why an answer ends before its end: the guest will write no more of it.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the guest did not come to the end of its answer")
    }
}

impl std::error::Error for BrokenOff {}

/// The body of an answer. Once the guest's call is over nobody writes to it, and what has no end by then gets none.
pub(super) struct Answer {
    kind: Kind,
    /// The number of its request, from 1.
    number: u32,
    /// How many of the guest's calls have returned.
    over: Rc<Cell<u32>>,
    /// Whether what was there before the end has had its chance to be sent.
    flushed: bool,
}

enum Kind {
    Guest(HyperOutgoingBody),
    Own(Full<Bytes>),
}

/// Makes an answer of what the guest has set.
pub(super) fn answer(
    set: Result<Response<HyperOutgoingBody>, ErrorCode>,
    last: bool,
    number: u32,
    over: &Rc<Cell<u32>>,
) -> Response<Answer> {
    let mut response = match set {
        Ok(response) => response.map(Kind::Guest),
        Err(code) => own(StatusCode::BAD_GATEWAY, format!("the component answers with an error: {code:?}\n")),
    };
    if last {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|kind| Answer { kind, number, over: Rc::clone(over), flushed: false })
}

fn own(status: StatusCode, text: String) -> Response<Kind> {
    let mut response = Response::new(Kind::Own(Full::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = match &mut self.kind {
            Kind::Guest(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Kind::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        };
        match frame {
            Poll::Pending if self.over.get() >= self.number => {
                if self.flushed {
                    return Poll::Ready(Some(Err(Box::new(BrokenOff))));
                }
                // An error now would throw away what the connection has not written yet; it writes when it has to wait.
                self.flushed = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Guest(body) => body.is_end_stream(),
            Kind::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Guest(body) => body.size_hint(),
            Kind::Own(body) => body.size_hint(),
        }
    }
}
