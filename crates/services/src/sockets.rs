//! The listening sockets of services. This server opens them and keeps them, so that a port stays taken and connections
//! wait in its queue while a service is replaced; the guest's own bind finds them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket, Type};

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// The address that a service declares.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    pub(crate) address: SocketAddr,
    pub(crate) socket: Arc<OwnedFd>,
}

impl Public {
    /// Listens there; port 0 becomes one that is free.
    ///
    /// # Errors
    /// What the kernel says, with the address.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let open = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            // What is accepted inherits it. Without, an answer in two writes waits 40 ms for the delayed acknowledgement.
            socket.set_tcp_nodelay(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let address = socket.local_addr()?.as_socket().unwrap_or(address);
            Ok(Self { address, socket: Arc::new(socket.into()) })
        };
        open().map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => io::Error::new(
                error.kind(),
                format!("another program has port {} of {}", address.port(), address.ip()),
            ),
            _ => io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")),
        })
    }
}

impl Public {
    /// Whether anybody is connected to it, by the kernel's list of connections.
    pub(crate) fn is_connected(&self) -> bool {
        // proc(5): the second column is the local address, the port in hexadecimal behind a colon; the fourth is the state,
        // and 01 is ESTABLISHED.
        let port = format!(":{:04X}", self.address.port());
        let file = if self.address.is_ipv4() { "/proc/self/net/tcp" } else { "/proc/self/net/tcp6" };
        let list = std::fs::read_to_string(file).unwrap_or_default();
        list.lines().any(|line| {
            let mut columns = line.split_whitespace().skip(1);
            columns.next().is_some_and(|local| local.ends_with(&port)) && columns.nth(1) == Some("01")
        })
    }
}

/// The socket by which the gateway reaches one process of a service. Its file goes with it.
#[derive(Debug)]
pub(crate) struct Private {
    pub(crate) path: Arc<Path>,
}

impl Private {
    /// Listens on a file of this name in the folder. The socket is for the process alone: once that has ended, nobody holds
    /// it, and who waits in its queue is told.
    ///
    /// # Errors
    /// What the kernel says, with the path.
    pub(crate) fn open(dir: &Path, name: &str) -> io::Result<(Self, Arc<OwnedFd>)> {
        let path = dir.join(name);
        let open = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            // Left over from a server that was killed: the folder is this server's alone.
            let _ = std::fs::remove_file(&path);
            socket.bind(&SockAddr::unix(&path)?)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            socket.listen(BACKLOG)?;
            Ok((Self { path: path.clone().into() }, Arc::new(socket.into())))
        };
        open().map_err(|error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {}: {error}", path.display()))
        })
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes the folder for sockets, for this user alone, and empties it.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn folder(state_dir: &Path) -> io::Result<PathBuf> {
    let dir = state_dir.join("run");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(&dir)?.flatten() {
        let _ = std::fs::remove_file(entry.path());
    }
    Ok(dir)
}
