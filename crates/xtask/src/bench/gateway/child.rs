//! A process that serves for as long as it is kept.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::{processes, signals};

/// How long it may take until it serves.
const START: Duration = Duration::from_secs(60);

/// How long it may take to end.
const END: Duration = Duration::from_secs(5);

/// A server of somebody else. When it is dropped, it ends, and what is below it.
#[derive(Debug)]
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts it, and waits until this says where it listens. What it says goes into a file.
    pub(crate) fn start<T>(
        command: &mut Command,
        says: &Path,
        mut serves: impl FnMut(&str) -> Option<T>,
    ) -> Result<(Self, T)> {
        let file = std::fs::File::create(says)?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn();
        let mut daemon = Self(child.with_context(|| format!("cannot run {command:?}"))?);
        let deadline = Instant::now() + START;
        loop {
            signals::check()?;
            let said = std::fs::read_to_string(says)?;
            if let Some(found) = serves(&said) {
                return Ok((daemon, found));
            }
            let runs = matches!(daemon.0.try_wait(), Ok(None)) && Instant::now() < deadline;
            ensure!(runs, "{:?} does not serve: {}", command.get_program(), said.trim());
            sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let below = processes::descendants(self.pid());
        let deadline = Instant::now() + END;
        // Somebody else may have its number once it was waited for.
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = Command::new("kill").arg(self.pid().to_string()).status();
            while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
                sleep(Duration::from_millis(5));
            }
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
        while below.iter().any(|pid| processes::runs(*pid)) && Instant::now() < deadline {
            sleep(Duration::from_millis(5));
        }
    }
}

/// An address of this machine that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Whether somebody takes connections there.
pub(crate) fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}
