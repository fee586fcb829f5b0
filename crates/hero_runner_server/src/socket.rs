//! The socket: where it may lie, how it is made, and how systemd hands over one that it made.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::lock::Lock;

/// A listening socket.
#[derive(Debug)]
pub struct Bound {
    /// The listener, in non-blocking mode.
    pub listener: UnixListener,
    /// The file that is removed at the end, if it is ours to remove.
    pub file: Option<SocketFile>,
}

/// A socket's file; dropping it removes it, unless somebody else has put another one there.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.identity) {
            // At the end of the process there is nobody left to tell.
            let _ = std::fs::remove_file(&self.path);
        }
    }
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
    let (listener, file) = match inherited {
        Some(listener) => {
            // Clients look where the setting says; the lock lies there as well.
            let address = listener.local_addr().ok();
            if address.as_ref().and_then(|address| address.as_pathname()) != Some(path) {
                tracing::warn!(?address, setting = %path.display(), "systemd passed another socket than the setting");
            }
            (listener, None)
        }
        None => {
            let (listener, file) = bind(path)?;
            (listener, Some(file))
        }
    };
    listener.set_nonblocking(true).context("the socket cannot be made non-blocking")?;
    Ok(Bound { listener, file })
}

fn bind(path: &Path) -> Result<(UnixListener, SocketFile)> {
    if !api::paths::fits_socket_address(path) {
        bail!(
            "the path of the socket has more than {} bytes: {}",
            api::paths::SOCKET_PATH_MAX,
            path.display()
        );
    }
    let dir = path.parent().context("the path of the socket names no folder")?;
    check_dir(dir)?;
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            bail!("{} is in the way: it is not a socket", path.display());
        }
        _ => {}
    }
    // The mode of a new socket follows the umask, and changing that would hit other threads. So the socket is born
    // under a name that nobody knows, gets its mode, and only then its place; the rename replaces a stale one.
    // At most eight bytes, so it fits where `rpc.sock` fits.
    let born = dir.join(format!(".{}", std::process::id()));
    let listener = match UnixListener::bind(&born) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            std::fs::remove_file(&born).with_context(|| format!("cannot remove {}", born.display()))?;
            UnixListener::bind(&born)
        }
        other => other,
    };
    let listener = listener.with_context(|| format!("cannot bind a socket in {}", dir.display()))?;
    let place = || -> io::Result<Metadata> {
        std::fs::set_permissions(&born, Permissions::from_mode(0o600))?;
        let made = std::fs::symlink_metadata(&born)?;
        std::fs::rename(&born, path)?;
        Ok(made)
    };
    match place() {
        Ok(made) => {
            let file = SocketFile { path: path.to_owned(), identity: (made.dev(), made.ino()) };
            Ok((listener, file))
        }
        Err(error) => {
            let _ = std::fs::remove_file(&born);
            Err(error).with_context(|| format!("cannot place the socket at {}", path.display()))
        }
    }
}

/// Makes the folder, or checks that nobody else could put something into it.
pub fn check_dir(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make the folder of the socket, {}", dir.display()))?;
    let found =
        std::fs::symlink_metadata(dir).with_context(|| format!("cannot look at {}", dir.display()))?;
    if !found.is_dir() {
        bail!("the folder of the socket, {}, is a symbolic link or no folder", dir.display());
    }
    let own = nix::unistd::geteuid().as_raw();
    if found.uid() != own {
        bail!("the folder of the socket, {}, belongs to user {}, not to {own}", dir.display(), found.uid());
    }
    if found.mode() & 0o022 != 0 {
        bail!(
            "others can write to the folder of the socket, {} (mode {:04o}): chmod go-w it",
            dir.display(),
            found.mode() & 0o7777
        );
    }
    Ok(())
}
