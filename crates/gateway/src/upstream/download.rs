//! A response's body on its way to the client, with the connection that it comes from.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::{Link, Reply, Shelf};
use crate::body::Error;

/// A response's body. Dropped before its end, it closes the connection, and so tells the upstream.
#[derive(Debug)]
pub(crate) struct Download {
    body: Incoming,
    link: Option<(Box<Link>, Arc<Shelf>)>,
    /// Why it ends too early, until that is told.
    broken: Option<Error>,
}

impl Download {
    /// Takes a response apart into its head and its body.
    pub(crate) fn new(reply: Reply) -> Response<Self> {
        let Reply { response, link, shelf } = reply;
        response.map(|body| {
            let mut download = Self { body, link: Some((link, shelf)), broken: None };
            if download.body.is_end_stream() {
                // Nobody polls a body that has nothing.
                download.finish(&mut Context::from_waker(std::task::Waker::noop()));
            }
            download
        })
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let body = Pin::new(&mut self.body);
        // Who takes a frame asks for the next one, and then the connection is polled.
        let frame = match &self.link {
            Some(_) => Link::muted(|| body.poll_frame(cx)),
            None => body.poll_frame(cx),
        };
        let over = match &frame {
            Poll::Ready(Some(Ok(_))) => self.body.is_end_stream(),
            Poll::Ready(_) => true,
            Poll::Pending => false,
        };
        if over {
            self.finish(cx);
        }
        frame
    }

    /// Leaves the connection to the next request, if it is fit for one.
    fn finish(&mut self, cx: &mut Context<'_>) {
        if let Some((mut link, shelf)) = self.link.take() {
            link.peer.owes(false);
            if link.poll(cx).is_pending() && link.is_idle() {
                shelf.put(link);
            }
        }
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let mut frame = this.poll_body(cx);
        if frame.is_pending()
            && let Some((link, _)) = &mut this.link
        {
            // How it ends is seen in the body.
            let _ = link.poll(cx);
            frame = this.poll_body(cx);
        }
        if let Poll::Ready(Some(Err(error))) = frame {
            // An error would throw away what the client's connection has not written yet, perhaps the head; it writes when it
            // has to wait.
            this.broken = Some(error.into());
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
