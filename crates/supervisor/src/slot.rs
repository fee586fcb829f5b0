//! The supervisor's side of a worker: pipe ends, control socket, pidfd.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use frames::SessionSpec;
use frames::message::{self, WaitStatus};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::sync::oneshot;

use crate::pool::SessionNo;
use crate::zygote::ZygoteSender;

/// What the kernel said of a worker that is gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exit {
    pub(crate) status: WaitStatus,
    pub(crate) cpu_us: u64,
    pub(crate) max_rss_kb: u64,
    pub(crate) minor_faults: u64,
}

/// The ends that stay with the supervisor, all but `control` nonblocking.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) control: std::os::unix::net::UnixStream,
    pub(crate) stdin: OwnedFd,
    pub(crate) frames: OwnedFd,
    pub(crate) host: OwnedFd,
}

/// A place of the pool.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Taken when a session gets the worker.
    pub(crate) ends: Option<Ends>,
    pub(crate) pid: u32,
    pub(crate) pidfd: Option<OwnedFd>,
    /// Who has the worker, and whom to tell of its end.
    pub(crate) session: Option<(SessionNo, oneshot::Sender<Exit>)>,
}

fn nonblocking(fd: &OwnedFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

impl Slot {
    /// Makes pipes and control socket for a worker and asks the zygote to fork it.
    ///
    /// # Errors
    /// When there is no descriptor left, or the zygote does not take requests.
    pub(crate) fn fork(number: u64, zygote: &ZygoteSender) -> io::Result<Self> {
        let (control, their_control) = std::os::unix::net::UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let (their_stdin, stdin) = std::io::pipe()?;
        let (frames, their_frames) = std::io::pipe()?;
        let (host, their_host) = std::io::pipe()?;
        let (stdin, frames, host) = (OwnedFd::from(stdin), OwnedFd::from(frames), OwnedFd::from(host));
        for fd in [&stdin, &frames, &host] {
            nonblocking(fd)?;
        }
        // The order of frames::message::FORK_FDS.
        zygote.fork(
            number,
            [their_stdin.as_fd(), their_host.as_fd(), their_control.as_fd(), their_frames.as_fd()],
        )?;
        let ends = Ends { control, stdin, frames, host };
        Ok(Self { ends: Some(ends), pid: 0, pidfd: None, session: None })
    }
}

/// Hands a session to a parked worker.
///
/// # Errors
/// When the worker is gone; then it has not got the session. A specification that does not fit into the
/// socket's buffer at once is an error too; its size has a cap well below that.
pub(crate) fn hand_over(
    control: &std::os::unix::net::UnixStream,
    spec: &SessionSpec,
    module: &OwnedFd,
    given: &[Arc<OwnedFd>],
) -> io::Result<()> {
    let bytes = message::encode(spec).map_err(io::Error::other)?;
    let sent = match given {
        [] => sys::fdpass::send(control, &bytes, &[module.as_fd()])?,
        given => {
            let all: Vec<_> =
                std::iter::once(module.as_fd()).chain(given.iter().map(|fd| fd.as_fd())).collect();
            sys::fdpass::send(control, &bytes, &all)?
        }
    };
    if sent == bytes.len() { Ok(()) } else { Err(io::Error::other("the session's request is too large")) }
}
