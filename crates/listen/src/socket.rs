//! The file of a socket.

use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use api::paths::{SOCKET_PATH_MAX, fits_socket_address};
use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

/// Connections that may wait to be accepted. The kernel takes less where `net.core.somaxconn` is less.
const BACKLOG: i32 = 4096;

/// A socket's file; dropping it removes it, unless somebody else has put another one there.
#[derive(Debug)]
pub struct SocketFile {
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

fn explained(error: io::Error, what: String) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// The folder that a socket is to lie in.
fn folder(socket: &Path) -> io::Result<&Path> {
    let why = || format!("the path of the socket names no folder: {}", socket.display());
    socket.parent().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, why()))
}

/// Listens on a Unix socket at `path` that only this user can connect to, without blocking. It takes the place of a socket that
/// is left over there, so whoever calls has made sure that nobody listens on that.
///
/// # Errors
/// When the path is too long, something that is no socket lies there, or the system refuses.
pub fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    if !fits_socket_address(path) {
        let why = format!("the path of the socket has more than {SOCKET_PATH_MAX} bytes: {}", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let dir = folder(path)?;
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        let why = format!("{} is in the way: it is not a socket", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    // Nobody finds it before it listens: it is made under a name of its own, and the rename replaces a stale one. A process id is
    // below 2^22, so this name has at most 7 bytes, as many as `ui.sock`.
    let born = dir.join(format!("~{:x}", std::process::id()));
    let made =
        make(&born).map_err(|error| explained(error, format!("cannot bind a socket in {}", dir.display())));
    let placed = made.and_then(|listener| {
        let identity = identity(&std::fs::symlink_metadata(&born)?);
        let place = std::fs::rename(&born, path);
        place.map_err(|error| explained(error, format!("cannot place the socket at {}", path.display())))?;
        Ok((listener, SocketFile { path: path.to_owned(), identity }))
    });
    if placed.is_err() {
        let _ = std::fs::remove_file(&born);
    }
    placed
}

/// The mode of a new socket is that of its descriptor without what the umask takes away, see unix_bind in the kernel's
/// net/unix/af_unix.c. So nobody else can connect at any moment, and no umask is changed, which would hit other threads.
fn make(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// Makes the folder of a socket, or checks that nobody else could put something into it.
///
/// # Errors
/// When it cannot be made, is a link, belongs to somebody else, or others can write to it.
pub fn check_folder(socket: &Path) -> io::Result<()> {
    let dir = folder(socket)?;
    let shown = dir.display();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| explained(error, format!("cannot make the folder of the socket, {shown}")))?;
    let found = std::fs::symlink_metadata(dir)
        .map_err(|error| explained(error, format!("cannot look at the folder of the socket, {shown}")))?;
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if !found.is_dir() {
        return refused(format!("the folder of the socket, {shown}, is a symbolic link or no folder"));
    }
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own {
        return refused(format!(
            "the folder of the socket, {shown}, belongs to user {}, not to {own}",
            found.uid()
        ));
    }
    if found.mode() & 0o022 != 0 {
        let mode = found.mode() & 0o7777;
        return refused(format!(
            "others can write to the folder of the socket, {shown} (mode {mode:04o}): chmod go-w it"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn it_is_private_takes_the_place_of_a_stale_one_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        drop(UnixListener::bind(&path).unwrap());
        let (listener, file) = bind(&path).unwrap();
        let mode = std::fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "the socket and nothing else");
        let _client = UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        std::fs::write(&path, "of somebody").unwrap();
        assert!(bind(&path).unwrap_err().to_string().contains("is not a socket"));
        assert!(bind(&dir.path().join("x".repeat(108))).unwrap_err().to_string().contains("107"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "of somebody");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
