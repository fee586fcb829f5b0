//! The bodies of requests and responses.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::client::Busy;
use crate::target::Lease;
use crate::upload::Upload;
use crate::upstream::Download;

/// What breaks a body: the client or the upstream went away, or the body was too large or too slow.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A stream of bytes with an optional end of trailers. What comes from the network is not boxed.
pub struct Body {
    kind: Kind,
    keep: Keep,
}

enum Kind {
    Full(Option<Bytes>),
    Upload(Upload),
    Download(Box<Download>),
    Boxed(UnsyncBoxBody<Bytes, Error>),
}

/// What lasts as long as a response.
#[derive(Default)]
struct Keep {
    _lease: Option<Lease>,
    _busy: Option<Busy>,
}

impl Body {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Kind::Full(None).into()
    }

    /// These bytes.
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Kind::Full((!bytes.is_empty()).then_some(bytes)).into()
    }

    /// Any other body, such as `http_body_util::StreamBody`.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        Kind::Boxed(body.map_err(Into::into).boxed_unsync()).into()
    }

    pub(crate) fn upload(upload: Upload) -> Self {
        Kind::Upload(upload).into()
    }

    pub(crate) fn download(download: Download, lease: Lease) -> Self {
        let keep = Keep { _lease: Some(lease), _busy: None };
        Self { kind: Kind::Download(Box::new(download)), keep }
    }

    pub(crate) fn keep(&mut self, busy: Busy) {
        self.keep._busy = Some(busy);
    }
}

impl From<Kind> for Body {
    fn from(kind: Kind) -> Self {
        Self { kind, keep: Keep::default() }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let frame = match &mut this.kind {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Upload(body) => Pin::new(body).poll_frame(cx),
            Kind::Download(body) => Pin::new(&mut **body).poll_frame(cx),
            Kind::Boxed(body) => Pin::new(body).poll_frame(cx),
        };
        let frame = ready!(frame);
        if !matches!(frame, Some(Ok(_))) {
            // Who sends this may hold on to it for longer than there is something in it.
            this.keep = Keep::default();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Upload(body) => body.is_end_stream(),
            Kind::Download(body) => body.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Upload(body) => body.size_hint(),
            Kind::Download(body) => body.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
