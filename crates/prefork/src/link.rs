//! One end of a control socket: whole messages with the descriptors that belong to them, blocking.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use frames::message::{self, MessageError, PREFIX_LEN};

/// One end of a control socket.
#[derive(Debug)]
pub struct Link<S = OwnedFd> {
    socket: S,
}

/// How much the first read of a message takes, in bytes.
const FIRST: usize = 2048;

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

impl<S: AsFd> Link<S> {
    /// A link over a connected Unix stream socket in blocking mode.
    #[must_use]
    pub fn new(socket: S) -> Self {
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

    /// Waits for a message that descriptors come with; `None` when the other side closed the socket.
    ///
    /// # Errors
    /// When the socket fails or what comes is no message.
    pub fn receive<T: serde::de::DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>, LinkError> {
        let mut fds = Vec::new();
        // Most messages come whole in one call. It takes nothing of the next one: the kernel ends a read behind the
        // bytes that descriptors came with.
        let mut first = [0; FIRST];
        let got = sys::fdpass::receive(&self.socket, &mut first, &mut fds)?.bytes;
        if got == 0 || got < PREFIX_LEN && !self.fill(&mut first[got..PREFIX_LEN], &mut fds)? {
            return Ok(None);
        }
        let (prefix, come) = first[..got.max(PREFIX_LEN)].split_at(PREFIX_LEN);
        let len = message::announced(std::array::from_fn(|index| prefix[index]))?;
        if let Some(body) = come.get(..len) {
            return Ok(Some((message::decode(body)?, fds)));
        }
        let mut body = vec![0; len];
        body[..come.len()].copy_from_slice(come);
        if !self.fill(&mut body[come.len()..], &mut fds)? {
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

impl<S: AsFd> AsFd for Link<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
