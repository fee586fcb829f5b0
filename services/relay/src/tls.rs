//! TLS on tokio's streams: rustls wants its bytes read and written for it.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// So many bytes wait to be sent before more are taken.
const FULL: usize = 64 * 1024;

/// Why there is no secure connection.
pub enum Error {
    /// We do not trust the other side, or do not know whom to trust.
    Certificate(String),
    /// Anything else.
    Protocol(String),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(why)) => Self::Certificate(why.to_string()),
            _ => Self::Protocol(error.to_string()),
        }
    }
}

/// Whom to trust, read once.
fn config() -> Result<Arc<ClientConfig>, Error> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    CONFIG.get_or_init(|| read_config().map(Arc::new)).clone().map_err(Error::Certificate)
}

fn read_config() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Ok(file) = std::env::var("SSL_CERT_FILE") {
        let bad = |error: &dyn fmt::Display| format!("SSL_CERT_FILE {file}: {error}");
        let text = std::fs::read(&file).map_err(|error| bad(&error))?;
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|error| bad(&error))?;
            roots.add(certificate).map_err(|error| bad(&error))?;
        }
        if roots.len() == before {
            return Err(bad(&"no certificate in it"));
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls_rustcrypto::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Shakes hands on `stream` with `host`.
pub async fn connect(stream: TcpStream, host: &str) -> Result<Tls<TcpStream>, Error> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare).map_err(|error| Error::Protocol(error.to_string()))?;
    let session = ClientConnection::new(config()?, name);
    let session = session.map_err(|error| Error::Protocol(error.to_string()))?;
    let mut tls = Tls { stream, session, outgoing: Vec::new() };
    poll_fn(|cx| tls.poll_handshake(cx)).await?;
    Ok(tls)
}

/// A secure connection.
pub struct Tls<S> {
    stream: S,
    session: ClientConnection,
    /// What has to be sent.
    outgoing: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tls<S> {
    /// What it leaves to be sent goes with the first bytes that are written: on its own, it would have
    /// to be acknowledged before those go.
    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.is_handshaking() {
            ready!(self.poll_send(cx))?;
            if ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends all that there is to be sent, in one piece if that is possible.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.session.wants_write() {
                self.session.write_tls(&mut self.outgoing)?;
            }
            if self.outgoing.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let length = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing))?;
            self.outgoing.drain(..length);
        }
    }

    /// Gives the session what has come, and says how much; 0 at the end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = Bytes { stream: &mut self.stream, cx };
        let length = ready!(pending(self.session.read_tls(&mut bytes)))?;
        if let Err(error) = self.session.process_new_packets() {
            // The other side learns why, if it still listens.
            let _ = self.poll_send(cx);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(length))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tls<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.session.reader().read(buf.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|length| buf.advance(length))),
            }
            // Such as new keys, while we wait.
            let _ = self.poll_send(cx)?;
            ready!(self.poll_receive(cx))?;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tls<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.outgoing.len() >= FULL {
            ready!(self.poll_send(cx))?;
        }
        let length = self.session.writer().write(buf)?;
        // What does not go now goes with the next bytes, or when they are flushed.
        let _ = self.poll_send(cx)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Once; it does nothing when it is called again.
        self.session.send_close_notify();
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The stream as rustls reads it: without waiting.
struct Bytes<'a, 'b, S> {
    stream: &'a mut S,
    cx: &'a mut Context<'b>,
}

impl<S: AsyncRead + Unpin> Read for Bytes<'_, '_, S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        match Pin::new(&mut *self.stream).poll_read(self.cx, &mut buf) {
            Poll::Ready(result) => result.map(|()| buf.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

fn pending<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}
