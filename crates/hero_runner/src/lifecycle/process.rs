//! A process that is held by its pidfd, so that no signal can reach another one that got its number.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    pidfd: OwnedFd,
}

impl Process {
    /// Takes hold of a process. Whether it is still the one that was meant has to be asked after this.
    pub(crate) fn hold(pid: u32) -> io::Result<Self> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(Self { pid, pidfd: pidfd_open(number, PidfdFlags::empty())? })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal; a process that is gone needs none.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Whether it is gone, at the latest after this time.
    pub(crate) async fn is_gone(&self, within: Duration) -> io::Result<bool> {
        // A thread that polls: without unsafe code tokio offers no sound way to wait for a descriptor like this.
        let pidfd = self.pidfd.try_clone()?;
        tokio::task::spawn_blocking(move || wait(&pidfd, within)).await?
    }

    /// The name of its program, while it lives.
    pub(crate) fn program(&self) -> Option<String> {
        let path: PathBuf = std::fs::read_link(format!("/proc/{}/exe", self.pid)).ok()?;
        let name = path.file_name()?.to_str()?;
        // The kernel marks a program that was replaced while it runs, as an update does.
        Some(name.strip_suffix(" (deleted)").unwrap_or(name).to_owned())
    }
}

fn wait(pidfd: &OwnedFd, within: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_end_is_seen_and_later_signals_are_harmless() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::hold(child.id()).unwrap();
        assert!(!process.is_gone(Duration::from_millis(20)).await.unwrap());
        process.signal(Signal::TERM).unwrap();
        assert!(process.is_gone(Duration::from_secs(10)).await.unwrap());
        child.wait().unwrap();
        process.signal(Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn our_own_program_is_known() {
        let own = std::env::current_exe().unwrap();
        let process = Process::hold(std::process::id()).unwrap();
        assert_eq!(process.program().as_deref(), own.file_name().unwrap().to_str());
    }
}
