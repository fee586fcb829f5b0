//! Who listens: a lock beside the socket.
//!
//! The kernel drops it with its last descriptor, so nothing is left to clean up after a crash. The file stays: removing it would
//! let two programs hold two locks of the same name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::{NAME, socket};

/// The lock of a running program. Dropping it lets another one run on the same socket.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a socket, and makes the socket's folder before if it is not there.
    ///
    /// # Errors
    /// When another one has it, or the folder or the file cannot be used.
    pub fn take(socket: &Path) -> Result<Self> {
        socket::check_dir(socket.parent().context("the path of the socket names no folder")?)?;
        // `ui.lock`; the server's own in this folder is `lock`.
        let path = socket.with_extension("lock");
        let what = || format!("cannot lock {}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).with_context(what)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another {NAME} ({}) holds {}", owner(&mut file), path.display());
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(what),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).with_context(what)?;
        Ok(Self { _file: file })
    }
}

/// Who holds it, as the file says. The winner may not have written its number yet; then it is not worth waiting for.
fn owner(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("pid {pid}"),
        _ => "its process is not known".to_owned(),
    }
}
