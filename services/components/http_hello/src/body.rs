//! Bodies: written, copied, made up.

use wasip2::http::types::{IncomingBody, IncomingRequest, OutgoingBody, ResponseOutparam};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// The most that one call writes (`blocking-write-and-flush`).
const PIECE: usize = 4096;

/// So much is read at once.
const READ: u64 = 64 * 1024;

/// An answer whose head is on its way.
pub(crate) struct Answer {
    body: OutgoingBody,
    stream: Option<OutputStream>,
}

impl Answer {
    /// Sends the head.
    pub(crate) fn begin(out: ResponseOutparam, code: u16, fields: &[(&str, &str)]) -> Self {
        let response = crate::head(code, fields);
        let body = response.body().expect("a response has one body");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("a body has one stream");
        Self { body, stream: Some(stream) }
    }

    /// Writes bytes; whether somebody takes them.
    pub(crate) fn write(&self, bytes: &[u8]) -> bool {
        let Some(stream) = &self.stream else { return false };
        bytes.chunks(PIECE).all(|piece| stream.blocking_write_and_flush(piece).is_ok())
    }

    /// Says that this was all.
    pub(crate) fn end(mut self) {
        self.stream = None;
        // Who is gone needs no end.
        let _ = OutgoingBody::finish(self.body, None);
    }
}

/// Sends a request's body back while it comes.
pub(crate) fn echo(request: &IncomingRequest, answer: Answer) {
    let body = request.consume().expect("a request has one body");
    copy(&body, answer);
}

/// Sends what comes until it ends.
pub(crate) fn copy(body: &IncomingBody, answer: Answer) {
    let stream: InputStream = body.stream().expect("a body has one stream");
    loop {
        match stream.blocking_read(READ) {
            Ok(bytes) => {
                if !answer.write(&bytes) {
                    return;
                }
            }
            Err(StreamError::Closed) => break,
            // Without its end the answer is seen to be broken off.
            Err(StreamError::LastOperationFailed(_)) => return,
        }
    }
    drop(stream);
    answer.end();
}

/// So many bytes, each `x`.
pub(crate) fn stream(answer: Answer, mut bytes: u64) {
    let piece = [b'x'; PIECE];
    while bytes > 0 {
        let length = bytes.min(PIECE as u64) as usize;
        if !answer.write(&piece[..length]) {
            return;
        }
        bytes -= length as u64;
    }
    answer.end();
}
