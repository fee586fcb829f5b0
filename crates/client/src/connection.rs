//! Connections to the socket, kept for the next call.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::{Error, Result};

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Sender = SendRequest<Body>;

/// Idle connections kept; one call holds one, so more than this only helps callers with more in flight.
const IDLE_MAX: usize = 16;

/// The largest reply that is read into memory.
const REPLY_MAX: usize = 256 << 20;

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

pub(crate) struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Sender>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Pool {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) async fn connect(&self) -> Result<UnixStream> {
        UnixStream::connect(&self.path).await.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Error::NotRunning { path: self.path.clone(), source }
            }
            _ => Error::io(format!("cannot connect to {}", self.path.display()), source),
        })
    }

    fn broke(&self, source: hyper::Error) -> Error {
        Error::io(format!("the connection to {} broke", self.path.display()), io::Error::other(source))
    }

    /// A connection of its own.
    async fn dial(&self) -> Result<Sender> {
        let stream = self.connect().await?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| self.broke(error))?;
        // The task ends with the connection: when the sender and the reply are dropped, or the server hangs up.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// An idle connection that still stands, or a new one; and whether it was used before.
    async fn checkout(&self) -> Result<(Sender, bool)> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = idle else { return Ok((self.dial().await?, false)) };
            if sender.ready().await.is_ok() {
                return Ok((sender, true));
            }
        }
    }

    fn checkin(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(sender);
        }
    }

    /// Sends a request on a kept connection and reads the whole reply.
    pub(crate) async fn exchange(&self, mut request: Request<Body>) -> Result<(StatusCode, Bytes)> {
        let (sender, response) = loop {
            let (mut sender, reused) = self.checkout().await?;
            match sender.try_send_request(request).await {
                Ok(response) => break (sender, response),
                Err(mut error) => match error.take_message() {
                    // hyper hands the request back only when not one byte of it was written, so the server
                    // that closed this idle connection cannot have acted on it. Anything else is not retried.
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(self.broke(error.into_error())),
                },
            }
        };
        let reply = self.read(response).await?;
        self.checkin(sender);
        Ok(reply)
    }

    /// Sends a request on a connection of its own, for bodies that stream. The sender keeps it open.
    pub(crate) async fn open(&self, request: Request<Body>) -> Result<(Sender, Response<Incoming>)> {
        let mut sender = self.dial().await?;
        let response = sender.send_request(request).await.map_err(|error| self.broke(error))?;
        Ok((sender, response))
    }

    /// Reads a whole reply.
    pub(crate) async fn read(&self, response: Response<Incoming>) -> Result<(StatusCode, Bytes)> {
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_MAX).collect().await.map_err(|error| {
            let what = format!("cannot read the reply from {}", self.path.display());
            Error::io(what, io::Error::other(error))
        })?;
        Ok((status, body.to_bytes()))
    }
}
