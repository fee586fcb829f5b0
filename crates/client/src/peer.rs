//! Who listens on the socket, as the kernel says.

use crate::{Client, Error, Result};

/// The process that listens, and its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The process that called `listen`; under socket activation that is systemd. None when it is not visible
    /// from this process's pid namespace.
    pub pid: Option<u32>,
    /// Its user.
    pub uid: u32,
}

impl Client {
    /// Connects and asks the kernel who listens (`SO_PEERCRED`); the server cannot lie about it, and need not
    /// answer.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when nothing listens, else [`Error::Io`].
    pub async fn peer(&self) -> Result<Peer> {
        let stream = self.pool.connect().await?;
        let what = || format!("cannot tell who listens on {}", self.socket().display());
        let cred = stream.peer_cred().map_err(|source| Error::io(what(), source))?;
        Ok(Peer {
            pid: cred.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
            uid: cred.uid(),
        })
    }
}
