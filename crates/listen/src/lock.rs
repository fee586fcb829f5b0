//! Who runs.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

/// Why a lock is not ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error("another {program} ({owner}) holds {path}")]
    Held {
        /// What is kept from running twice.
        program: &'static str,
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
        error: io::Error,
    },
}

/// The lock of a running program; dropping it lets another one run.
///
/// The kernel drops it with its last descriptor, so nothing is left to clean up after a crash. The file stays: removing it would
/// let two programs hold two locks of the same name. A lock belongs to the open file, which a fork shares; the descriptor is
/// closed on exec.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock that this file is, and makes the file and its folder before if they are not there.
    ///
    /// # Errors
    /// When another process has it, or the file or its folder cannot be used.
    pub fn take(path: &Path, program: &'static str) -> Result<Self, Error> {
        let failed = |error| Error::Failed { path: path.to_owned(), error };
        if let Some(dir) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // A link would have another file overwritten.
        options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
        let mut file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Held { program, path: path.to_owned(), owner: owner(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: file })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/lock");
        let lock = Lock::take(&path, "program").unwrap();
        let error = Lock::take(&path, "program").unwrap_err();
        let said = format!("another program (pid {}) holds {}", std::process::id(), path.display());
        assert_eq!(error.to_string(), said);
        drop(lock);
        drop(Lock::take(&path, "program").unwrap());
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("lock"));
        std::fs::write(&file, "of somebody").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(matches!(Lock::take(&link, "program"), Err(Error::Failed { .. })));
        assert_eq!(std::fs::read_to_string(file).unwrap(), "of somebody");
    }
}
