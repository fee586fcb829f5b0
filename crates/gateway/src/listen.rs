//! The sockets that clients connect to.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};

use crate::socket::Socket;

/// A listener of either kind.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// A socket's file; dropping it removes it, unless somebody else has put another one there.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|now| identity(&now) == self.identity) {
            // At the end there is nobody left to tell.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
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
            listener.set_nonblocking(true)?;
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

fn bind(path: &Path) -> io::Result<(StdUnixListener, SocketFile)> {
    let dir = path.parent().ok_or(io::Error::new(io::ErrorKind::InvalidInput, "the path names no folder"))?;
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is something that is not a socket",
            ));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
        }
        _ => {}
    }
    // The mode of a new socket follows the umask, and changing that would hit other threads. So the socket is born in
    // a folder that nobody else can enter, gets its mode, and only then its place; the rename replaces a stale one.
    let nursery = dir.join(format!(".{}", std::process::id()));
    let born = nursery.join("s");
    let clear = || {
        let _ = std::fs::remove_file(&born);
        let _ = std::fs::remove_dir(&nursery);
    };
    clear();
    DirBuilder::new().mode(0o700).create(&nursery)?;
    let make = || {
        let listener = StdUnixListener::bind(&born)?;
        std::fs::set_permissions(&born, Permissions::from_mode(0o600))?;
        let identity = identity(&std::fs::symlink_metadata(&born)?);
        std::fs::rename(&born, path)?;
        Ok((listener, SocketFile { path: path.to_owned(), identity }))
    };
    let made = make();
    clear();
    made
}
