//! Where a server listens, and connections to it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Where a server listens.
#[derive(Debug, Clone)]
pub enum Door {
    /// A Unix socket.
    Unix(PathBuf),
    /// An address.
    Tcp(SocketAddr),
}

impl Door {
    /// Connects; what is sent or awaited there takes `deadline` at most.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(&self, deadline: Duration) -> io::Result<Wire> {
        let wire = match self {
            Self::Unix(path) => Wire::Unix(UnixStream::connect(path)?),
            Self::Tcp(address) => Wire::Tcp(TcpStream::connect(address)?),
        };
        match &wire {
            Wire::Unix(stream) => {
                stream.set_read_timeout(Some(deadline))?;
                stream.set_write_timeout(Some(deadline))?;
            }
            Wire::Tcp(stream) => {
                stream.set_read_timeout(Some(deadline))?;
                stream.set_write_timeout(Some(deadline))?;
            }
        }
        Ok(wire)
    }

    /// Sends these bytes as they are on a connection of its own, and returns what comes back until the other side closes.
    ///
    /// # Errors
    /// When nobody listens, or nothing comes for `deadline`.
    pub fn exchange(&self, bytes: &[u8], deadline: Duration) -> io::Result<Vec<u8>> {
        let mut wire = self.connect(deadline)?;
        // Who refuses a request may close before all of it was sent.
        let _ = wire.write_all(bytes);
        let mut answer = Vec::new();
        match wire.read_to_end(&mut answer) {
            Err(error) if answer.is_empty() => Err(error),
            _ => Ok(answer),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub enum Wire {
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Over TCP.
    Tcp(TcpStream),
}

impl Wire {
    /// The same connection once more.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
        })
    }

    /// Says that nothing more is sent.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn finish(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.flush(),
            Self::Tcp(stream) => stream.flush(),
        }
    }
}

impl From<UnixStream> for Wire {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}
