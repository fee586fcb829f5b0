//! The server, and its pages, as daemons of their own.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use crate::cli::Listen;

/// A log of this size is put aside when its program starts.
const LOG_MAX: u64 = 10 << 20;
/// How much of the log is shown when the program does not start.
const TAIL: u64 = 4 << 10;

/// A program as a child, until it is known to work.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) child: Child,
    log: PathBuf,
    /// Where this start's part of the log begins.
    log_start: u64,
}

/// The server's arguments. The socket is always said, so that what we wait for is what it serves.
pub(crate) fn arguments(socket: &Path) -> Vec<OsString> {
    vec!["--socket".into(), socket.into()]
}

/// The arguments of the pages: their own socket and the server's, and where browsers find them.
pub(crate) fn ui_arguments(socket: &Path, server: &Path, listen: Listen) -> Vec<OsString> {
    let sockets = ["--socket".into(), socket.into(), "--server-socket".into(), server.into()];
    let listen = listen.into_iter().flat_map(|address| ["--listen".into(), address.to_string().into()]);
    sockets.into_iter().chain(listen).collect()
}

/// Starts a program in the background, with its output in this file of the state folder.
pub(crate) fn spawn(
    program: &Path,
    arguments: &[OsString],
    state_dir: &Path,
    log: &str,
) -> anyhow::Result<Daemon> {
    let what = || format!("cannot make the state folder {}", state_dir.display());
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir).with_context(what)?;
    let log = state_dir.join(log);
    let (file, log_start) = open_log(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let child = Command::new(program)
        .args(arguments)
        // The program itself leaves our session and terminal. It must not lead a process group already, or it could
        // not become the leader of a session.
        .arg("--daemonized")
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(Daemon { child, log, log_start })
}

fn open_log(path: &Path) -> io::Result<(File, u64)> {
    if path.metadata().is_ok_and(|meta| meta.len() > LOG_MAX) {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".1");
        std::fs::rename(path, aside)?;
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

impl Daemon {
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The last of what it wrote since it was started.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.log, self.log_start).unwrap_or_default()
    }
}

fn tail(path: &Path, start: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL))))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_large_log_is_put_aside_and_the_tail_is_of_this_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.log");
        let (mut file, start) = open_log(&path).unwrap();
        assert_eq!(start, 0);
        file.write_all(b"old\n").unwrap();
        let (mut file, start) = open_log(&path).unwrap();
        assert_eq!(start, 4);
        file.write_all(b"new\nlines\n").unwrap();
        assert_eq!(tail(&path, start).unwrap(), "new\nlines");
        file.set_len(LOG_MAX + 1).unwrap();
        assert_eq!(open_log(&path).unwrap().1, 0);
        assert_eq!(dir.path().join("server.log.1").metadata().unwrap().len(), LOG_MAX + 1);
    }
}
