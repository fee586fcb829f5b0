//! The server's socket: its own, or one that systemd made and hands over.

use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::{Context as _, Result};
use listen::SocketFile;

use crate::lock::Lock;

/// A listening socket.
#[derive(Debug)]
pub struct Bound {
    /// The listener, in non-blocking mode.
    pub listener: UnixListener,
    /// The file that is removed at the end, if it is ours to remove.
    pub file: Option<SocketFile>,
}

/// Takes the first socket that systemd opened for this process, if it did. To be called before there is a second
/// thread, because it takes the variables out of the environment.
pub fn inherited() -> Result<Option<UnixListener>> {
    // Without the check of the number, a variable that was meant for a parent would be taken for ours.
    let ours =
        api::paths::process_env("LISTEN_PID").and_then(|pid| pid.parse().ok()) == Some(std::process::id());
    if !ours {
        return Ok(None);
    }
    listenfd::ListenFd::from_env()
        .take_unix_listener(0)
        .context("the socket that systemd passed cannot be used")
}

/// Listens on the inherited socket or on `path`. The lock is what allows to replace a socket that is left over.
pub fn listen(inherited: Option<UnixListener>, path: &Path, _lock: &Lock) -> Result<Bound> {
    let Some(listener) = inherited else {
        listen::check_folder(path)?;
        let (listener, file) = listen::bind(path)?;
        return Ok(Bound { listener, file: Some(file) });
    };
    // Clients look where the setting says; the lock lies there as well.
    let address = listener.local_addr().ok();
    if address.as_ref().and_then(|address| address.as_pathname()) != Some(path) {
        tracing::warn!(?address, setting = %path.display(), "systemd passed another socket than the setting");
    }
    listener.set_nonblocking(true).context("the socket cannot be made non-blocking")?;
    Ok(Bound { listener, file: None })
}
