//! What a client sends passes through here before hyper reads it.
//!
//! hyper takes more than one server should: httparse accepts bare line feeds, a `Content-Length` that came after a
//! `Transfer-Encoding` is dropped without a word, a repeated one is merged, two `Host` fields pass, and a late head is
//! cut without an answer. What hyper forwards is written anew, so an upstream would see one clean request all the same.
//! But a request that could be read in two ways was perhaps read the other way by a proxy before us, and then the rest
//! of the connection is not what its sender meant (RFC 9112, section 11.2). So they are refused.
//!
//! That can be right for connections with many requests, because the guard follows the bodies in between: a head that
//! passed has exactly one length, and chunks are held to the grammar. hyper sees a head when it is complete and passed,
//! and cannot come to another end of a body than the guard does. It never gets a byte behind a head that did not pass:
//! in its place it reads [`REFUSED_METHOD`] with `Connection: close`, which the service answers with the reason, in
//! its turn behind the answers to earlier requests. After a head that asks for an upgrade and its body anything may
//! follow, so nothing is checked there; the service closes such a connection if no other protocol came of it.
//!
//! HTTP/2 is not looked into. Its frames have one reading, and the h2 crate checks what RFC 9113 asks for.

mod chunks;
mod head;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::Client;
use crate::timer::Timer;

use chunks::Chunks;
pub(crate) use head::{Fault, is_upgrade};
use head::{Framing, Head};

/// The method that no client can send, because the guard does not let it through.
pub(crate) const REFUSED_METHOD: &str = "!";
const REFUSED: &[u8] = b"! * HTTP/1.1\r\nhost: -\r\nconnection: close\r\n\r\n";

/// The beginning of every HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How much is read at a time where it has to be copied.
const PIECE: usize = 4096;
/// How long a client that still sends may go on after its connection is over. Closed at once, the kernel would reset
/// the connection, and the client might never see its answer.
const LINGER: Duration = Duration::from_secs(2);

/// A client's stream.
#[derive(Debug)]
pub(crate) struct Guard<S> {
    stream: S,
    client: Arc<Client>,
    mode: Mode,
    /// The beginning of a head, not yet passed on.
    held: Vec<u8>,
    /// Whether `held` was not looked at yet.
    unseen: bool,
    /// When `held` began.
    since: Instant,
    /// Checked, not yet passed on.
    ready: Vec<u8>,
    reads: Timer,
    writes: Timer,
    shut: Option<Instant>,
}

#[derive(Debug)]
enum Mode {
    Head(Head),
    Length {
        left: u64,
        upgrade: bool,
    },
    Chunked {
        chunks: Chunks,
        upgrade: bool,
    },
    /// Whatever it is, it is not HTTP/1.
    Opaque,
    /// A head did not pass.
    Refused,
    /// The framing of a body broke.
    Broken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    pub(crate) fn new(stream: S, client: Arc<Client>) -> Self {
        Self {
            stream,
            client,
            mode: Mode::Head(Head::default()),
            held: Vec::new(),
            unseen: false,
            since: Instant::now(),
            ready: Vec::new(),
            reads: Timer::default(),
            writes: Timer::default(),
            shut: None,
        }
    }

    /// Reads until it is clear whether the client speaks HTTP/2.
    pub(crate) async fn is_http2(&mut self) -> io::Result<bool> {
        use tokio::io::AsyncReadExt as _;
        loop {
            let known = self.held.len().min(PREFACE.len());
            if self.held[..known] != PREFACE[..known] {
                self.unseen = true;
                self.since = Instant::now();
                return Ok(false);
            }
            if known == PREFACE.len() {
                self.mode = Mode::Opaque;
                self.ready = std::mem::take(&mut self.held);
                return Ok(true);
            }
            self.held.reserve(PIECE);
            if self.stream.read_buf(&mut self.held).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Follows requests through `bytes` and says how many of them hyper may see; what is left is the beginning of a
    /// head, or faulty.
    fn follow(&mut self, bytes: &[u8]) -> (usize, Option<Fault>) {
        let max = self.client.core.settings.max_head_bytes;
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let after = |upgrade| if upgrade { Mode::Opaque } else { Mode::Head(Head::default()) };
            match &mut self.mode {
                Mode::Head(head) => match head.read(rest, max) {
                    Err(fault) => return (at, Some(fault)),
                    Ok(None) => return (at, None),
                    Ok(Some(passed)) => {
                        at += passed.len;
                        let upgrade = passed.upgrade;
                        self.mode = match passed.framing {
                            Framing::Length(0) => after(upgrade),
                            Framing::Length(left) => Mode::Length { left, upgrade },
                            Framing::Chunked => Mode::Chunked { chunks: Chunks::new(), upgrade },
                        };
                    }
                },
                Mode::Length { left, upgrade } => {
                    let here = (*left).min(rest.len() as u64);
                    *left -= here;
                    // As many as there are in a slice, so it fits.
                    at += here as usize;
                    if *left == 0 {
                        self.mode = after(*upgrade);
                    }
                }
                Mode::Chunked { chunks, upgrade } => match chunks.read(rest) {
                    Err(fault) => return (at, Some(fault)),
                    Ok((read, end)) => {
                        at += read;
                        if end {
                            self.mode = after(*upgrade);
                        }
                    }
                },
                Mode::Opaque => return (bytes.len(), None),
                Mode::Refused | Mode::Broken => return (at, None),
            }
        }
        (at, None)
    }

    fn refuse(&mut self, fault: Fault) {
        self.client.fault(fault);
        self.held.clear();
        if matches!(self.mode, Mode::Head(_)) {
            self.ready.extend_from_slice(REFUSED);
            self.mode = Mode::Refused;
        } else {
            self.mode = Mode::Broken;
        }
    }

    /// Whether the client is between two requests.
    fn is_between(&self) -> bool {
        // Some clients send an empty line behind a body.
        matches!(self.mode, Mode::Head(_)) && self.held.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
    }

    /// What to do while the client sends nothing: ready when it had its time.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.mode, Mode::Head(_)) {
            return Poll::Pending;
        }
        let settings = &self.client.core.settings;
        if !self.is_between() {
            return self.reads.poll(cx, self.since + settings.head_timeout);
        }
        loop {
            // While it waits for its answer, a client may be as quiet as it likes.
            let since = if self.client.is_busy() { Instant::now() } else { self.client.last_byte() };
            let deadline = since + settings.idle_timeout;
            ready!(self.reads.poll(cx, deadline));
            if !self.client.is_busy() {
                return Poll::Ready(());
            }
        }
    }

    /// Reads until there is something for hyper in `buf` or in `ready`.
    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.unseen) {
            self.check_held();
        }
        while self.ready.is_empty() {
            match self.mode {
                // hyper closes after the answer that is under way; it has nothing more to read.
                Mode::Refused => return Poll::Pending,
                Mode::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                _ => {}
            }
            let begin = buf.filled().len();
            let read = if self.held.is_empty() {
                Pin::new(&mut self.stream).poll_read(cx, buf)?
            } else {
                self.poll_hold(cx)?
            };
            if read.is_pending() {
                ready!(self.poll_patience(cx));
                if self.is_between() {
                    // The end of the stream, as far as hyper can tell.
                    return Poll::Ready(Ok(()));
                }
                self.refuse(Fault::HeadTimeout);
                continue;
            }
            if self.held.is_empty() && buf.filled().len() == begin {
                return Poll::Ready(Ok(()));
            }
            self.client.touch();
            if self.held.is_empty() {
                let (passed, fault) = self.follow(&buf.filled()[begin..]);
                if let Some(fault) = fault {
                    self.refuse(fault);
                } else if begin + passed < buf.filled().len() {
                    self.since = Instant::now();
                    self.held.extend_from_slice(&buf.filled()[begin + passed..]);
                }
                buf.set_filled(begin + passed);
                if passed > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                self.check_held();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads behind what is held already. An end of the stream is an end without a head.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        if piece.filled().is_empty() {
            self.held.clear();
        }
        self.held.extend_from_slice(piece.filled());
        Poll::Ready(Ok(()))
    }

    fn check_held(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        let (passed, fault) = self.follow(&held);
        self.ready.extend(held.drain(..passed));
        self.held = held;
        if let Some(fault) = fault {
            self.refuse(fault);
        } else if passed > 0 {
            self.since = Instant::now();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ready.is_empty() {
            ready!(this.poll_fill(cx, buf))?;
        }
        let here = this.ready.len().min(buf.remaining());
        buf.put_slice(&this.ready[..here]);
        this.ready.drain(..here);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Notes that the client took something, or fails when it has not for too long.
    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.client.touch();
        } else {
            let deadline = self.client.last_byte() + self.client.core.settings.idle_timeout;
            ready!(self.writes.poll(cx, deadline));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.written(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let since = match this.shut {
            Some(since) => since,
            None => {
                ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                *this.shut.insert(Instant::now())
            }
        };
        while !this.is_between() && !matches!(this.mode, Mode::Opaque) {
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            match Pin::new(&mut this.stream).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() && since.elapsed() < LINGER => {}
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(this.reads.poll(cx, since + LINGER));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
