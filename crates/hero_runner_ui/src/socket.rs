//! The socket: where it may lie, and how it is made.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use api::paths;

use crate::lock::Lock;

/// A listening socket.
#[derive(Debug)]
pub struct Bound {
    /// The listener, in non-blocking mode.
    pub listener: UnixListener,
    /// The file, which is removed at the end.
    pub file: SocketFile,
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

/// Listens on `path`. The lock is what allows to replace a socket that is left over.
///
/// # Errors
/// When the path is too long, its folder is not private, something that is no socket lies there, or the system refuses.
pub fn bind(path: &Path, _lock: &Lock) -> Result<Bound> {
    if !paths::fits_socket_address(path) {
        bail!("the path of the socket has more than {} bytes: {}", paths::SOCKET_PATH_MAX, path.display());
    }
    let dir = path.parent().context("the path of the socket names no folder")?;
    check_dir(dir)?;
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        bail!("{} is in the way: it is not a socket", path.display());
    }
    // The mode of a new socket follows the umask. So it is born under a name that nobody knows, gets its mode, and only then
    // its place; the rename replaces a stale one. A process id is below 2^22, so this name is not longer than `ui.sock`.
    let born = dir.join(format!("~{:x}", std::process::id()));
    let listener = match UnixListener::bind(&born) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            std::fs::remove_file(&born).with_context(|| format!("cannot remove {}", born.display()))?;
            UnixListener::bind(&born)
        }
        other => other,
    };
    let listener = listener.with_context(|| format!("cannot bind a socket in {}", dir.display()))?;
    listener.set_nonblocking(true).context("the socket cannot be made non-blocking")?;
    let place = || -> io::Result<Metadata> {
        std::fs::set_permissions(&born, Permissions::from_mode(0o600))?;
        let made = std::fs::symlink_metadata(&born)?;
        std::fs::rename(&born, path)?;
        Ok(made)
    };
    match place() {
        Ok(made) => {
            let file = SocketFile { path: path.to_owned(), identity: (made.dev(), made.ino()) };
            Ok(Bound { listener, file })
        }
        Err(error) => {
            let _ = std::fs::remove_file(&born);
            Err(error).with_context(|| format!("cannot place the socket at {}", path.display()))
        }
    }
}

/// Makes the folder, or checks that nobody else could put something into it.
///
/// # Errors
/// When it cannot be made, belongs to somebody else, or others can write to it.
pub fn check_dir(dir: &Path) -> Result<()> {
    let shown = dir.display();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make the folder of the socket, {shown}"))?;
    let found = std::fs::symlink_metadata(dir).with_context(|| format!("cannot look at {shown}"))?;
    if !found.is_dir() {
        bail!("the folder of the socket, {shown}, is a symbolic link or no folder");
    }
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own {
        bail!("the folder of the socket, {shown}, belongs to user {}, not to {own}", found.uid());
    }
    if found.mode() & 0o022 != 0 {
        let mode = found.mode() & 0o7777;
        bail!("others can write to the folder of the socket, {shown} (mode {mode:04o}): chmod go-w it");
    }
    Ok(())
}
