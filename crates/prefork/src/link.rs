//! One end of a control socket: whole messages with the descriptors that belong to them, blocking.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use frames::message::{self, MessageError, PREFIX_LEN};

/// One end of a control socket.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
}

/// Why nothing could be sent or received.
#[derive(Debug)]
pub enum LinkError {
    /// The socket failed.
    Io(io::Error),
    /// The other side sent what is no message.
    Message(MessageError),
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<MessageError> for LinkError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the control socket failed: {error}"),
            Self::Message(error) => write!(f, "the control socket brought no message: {error}"),
        }
    }
}

impl std::error::Error for LinkError {}

impl Link {
    /// A link over a connected Unix stream socket in blocking mode.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Sends a message with its descriptors.
    ///
    /// # Errors
    /// When the message is too long or the socket fails.
    pub fn send<T: serde::Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> Result<(), LinkError> {
        let bytes = message::encode(message)?;
        let mut sent = sys::fdpass::send(&self.socket, &bytes, fds)?;
        while sent < bytes.len() {
            sent += sys::fdpass::send(&self.socket, &bytes[sent..], &[])?;
        }
        Ok(())
    }

    /// Waits for a message; `None` when the other side closed the socket.
    ///
    /// # Errors
    /// When the socket fails or what comes is no message.
    pub fn receive<T: serde::de::DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>, LinkError> {
        let mut fds = Vec::new();
        let mut prefix = [0; PREFIX_LEN];
        if !self.fill(&mut prefix, &mut fds)? {
            return Ok(None);
        }
        let mut body = vec![0; message::announced(prefix)?];
        if !self.fill(&mut body, &mut fds)? {
            return Ok(None);
        }
        Ok(Some((message::decode(&body)?, fds)))
    }

    fn fill(&self, mut buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<bool> {
        while !buffer.is_empty() {
            // Descriptors that were cut off show as missing: whoever needs them says so.
            let got = sys::fdpass::receive(&self.socket, buffer, fds)?.bytes;
            if got == 0 {
                return Ok(false);
            }
            buffer = &mut buffer[got..];
        }
        Ok(true)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
