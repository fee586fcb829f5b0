//! The sockets that clients connect to.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream};
use std::path::Path;

use ::listen::SocketFile;
use tokio::net::{TcpListener, UnixListener};

use crate::socket::Socket;

/// A listener of either kind.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

impl Listener {
    /// Listens on a TCP address.
    pub(crate) async fn tcp(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await;
        listener.map(Self::Tcp).map_err(|error| explain(&error, &address.to_string()))
    }

    /// Listens on a Unix socket that only this user can connect to; takes the place of one that nobody listens on.
    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        let bound = bind(path).and_then(|(listener, file)| {
            Ok(Self::Unix { listener: UnixListener::from_std(listener)?, _file: file })
        });
        bound.map_err(|error| explain(&error, &path.display().to_string()))
    }

    pub(crate) async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Socket::Tcp(stream), Some(peer)))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), None))
            }
        }
    }
}

fn explain(error: &io::Error, address: &str) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
}

/// Without a lock, who answers is who listens.
fn bind(path: &Path) -> io::Result<(StdUnixListener, SocketFile)> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
    }
    ::listen::bind(path)
}
