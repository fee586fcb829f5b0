//! Who runs: a lock on the state folder and one on the folder of sockets.
//!
//! The kernel drops a lock with its last descriptor, so nothing is left to clean up after a crash. The files stay:
//! removing them would let two servers hold two locks of the same name. A lock belongs to the open file, which a fork
//! shares; the descriptors are closed on exec, so the zygote does not hold it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::settings::Settings;

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another server has it.
    #[error("another hero_runner_server ({owner}) holds {path}")]
    Held {
        /// The file.
        path: PathBuf,
        /// `pid N`, as far as that is known.
        owner: String,
    },
    /// The file or its folder cannot be used.
    #[error("cannot lock {path}: {error}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// The locks of a running server. Dropping it lets another server run.
#[derive(Debug)]
pub struct Lock {
    _files: [File; 2],
}

impl Lock {
    /// Takes both locks, or none.
    pub fn take(settings: &Settings) -> Result<Self, Error> {
        let socket_dir = settings.socket.parent().unwrap_or(Path::new("/"));
        let state = take(&settings.state_dir)?;
        // One folder may serve for both.
        let socket = match same_folder(socket_dir, &settings.state_dir) {
            true => state.try_clone().map_err(|error| failed(&settings.state_dir.join("lock"), error))?,
            false => take(socket_dir)?,
        };
        Ok(Self { _files: [state, socket] })
    }
}

fn same_folder(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::Failed { path: path.to_owned(), error }
}

fn take(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| failed(&path, error))?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed(&path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Error::Held { owner: owner(&mut file), path }),
        Err(TryLockError::Error(error)) => return Err(failed(&path, error)),
    }
    let write = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    write.map_err(|error| failed(&path, error))?;
    Ok(file)
}

/// Who holds the lock. The winner may not have written its number yet, so a dead or missing one is read again.
fn owner(file: &mut File) -> String {
    for _ in 0..20 {
        let mut text = String::new();
        let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
        if let (Ok(_), Ok(pid)) = (read, text.trim().parse::<u32>())
            && Path::new(&format!("/proc/{pid}")).exists()
        {
            return format!("pid {pid}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    "its process is not known".to_owned()
}
