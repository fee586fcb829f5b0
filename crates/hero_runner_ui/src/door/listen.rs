//! Where connections come from, and which of them are taken.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::peer;

/// A listener that knows whose connections it takes: those of this user, and of root.
pub trait Listen: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The user at its other end, if that can be told.
    fn user(stream: &Self::Stream) -> impl Future<Output = Option<u32>> + Send;
}

impl Listen for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }

    // The mode of the socket says the same; this holds where a folder or a descriptor was passed on.
    async fn user(stream: &UnixStream) -> Option<u32> {
        stream.peer_cred().ok().map(|peer| peer.uid())
    }
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // A line of a log is one small write.
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn user(stream: &TcpStream) -> Option<u32> {
        let (peer, own): (SocketAddr, SocketAddr) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
        // The table may be long.
        tokio::task::spawn_blocking(move || peer::user(peer, own)).await.ok()?
    }
}
