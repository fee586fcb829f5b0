//! The guest's standard streams and its randomness, as the engine wants them.

use std::convert::Infallible;
use std::io::{self, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use engine::Output;
use rand_core::TryRng;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError};

use crate::stdio;

/// The most that is taken in one write or read, in bytes.
const PIECE: usize = 64 * 1024;

/// An output of the guest's. What was written is with the worker when the call returns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer(pub(crate) Output);

impl IsTerminal for Writer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Writer {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(*self)
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(*self)
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        stdio::write_all(self.0, &bytes).map_err(stream_error)
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(PIECE)
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(stdio::write_all(self.0, bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Standard input. All streams of a guest's share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    /// Where the runtime waits; `None` where the kernel has nothing to wait for, as with a file.
    watch: Arc<OnceLock<Option<AsyncFd<BorrowedFd<'static>>>>>,
}

impl Reader {
    fn watch(&self) -> Option<&AsyncFd<BorrowedFd<'static>>> {
        self.watch.get_or_init(stdio::watch_stdin).as_ref()
    }

    /// Whether a read returns at once. The descriptor blocks, because it may be another process's too.
    fn is_readable(&self) -> bool {
        self.watch().is_none_or(|watch| sys::stdio::readable(*watch.get_ref()))
    }

    fn take(&self, buffer: &mut [u8]) -> io::Result<usize> {
        stdio::with(|stdio| stdio.read(&mut [IoSliceMut::new(buffer)]))
    }
}

impl IsTerminal for Reader {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Reader {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        // An error shows when it is read.
        if stdio::with(|stdio| stdio.stdin_wanted()).is_err() {
            return;
        }
        while !self.is_readable() {
            let Some(watch) = self.watch() else { return };
            let Ok(mut guard) = watch.readable().await else { return };
            if sys::stdio::readable(*watch.get_ref()) {
                return;
            }
            guard.clear_ready();
        }
    }
}

#[async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        stdio::with(|stdio| stdio.stdin_wanted()).map_err(stream_error)?;
        if size == 0 || !self.is_readable() {
            return Ok(Bytes::new());
        }
        let mut buffer = vec![0; size.min(PIECE)];
        match self.take(&mut buffer).map_err(stream_error)? {
            0 => Err(StreamError::Closed),
            count => {
                buffer.truncate(count);
                Ok(buffer.into())
            }
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        stdio::with(|stdio| stdio.stdin_wanted())?;
        while !self.is_readable() {
            let Some(watch) = self.watch() else { break };
            let mut guard = ready!(watch.poll_read_ready(cx))?;
            if !sys::stdio::readable(*watch.get_ref()) {
                guard.clear_ready();
            }
        }
        let count = self.take(buffer.initialize_unfilled())?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

fn stream_error(error: io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => StreamError::Closed,
        _ => StreamError::LastOperationFailed(error.into()),
    }
}

/// Random bytes, each time anew: nothing is kept that a fork could double.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Random;

impl Random {
    fn fill(buffer: &mut [u8]) {
        let drawn = stdio::with(|stdio| stdio.random(buffer)).or_else(|_| sys::random::fill(buffer));
        if let Err(error) = drawn {
            // Nobody may go on with bytes that are not random.
            eprintln!("hero_runner: the kernel has no random bytes: {error}");
            std::process::abort();
        }
    }

    pub(crate) fn seed() -> u128 {
        let mut bytes = [0; 16];
        Self::fill(&mut bytes);
        u128::from_ne_bytes(bytes)
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        Self::fill(&mut bytes);
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        Self::fill(&mut bytes);
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        Self::fill(buffer);
        Ok(())
    }
}
