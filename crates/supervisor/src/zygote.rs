//! The zygote as the supervisor sees it: a child process and a control socket.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use frames::message::{self, PREFIX_LEN};
use frames::{FromZygote, TemplateSpec, ToZygote};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// How long a zygote may take until it is warm.
const WARM_DEADLINE: Duration = Duration::from_secs(30);

/// Room for the title that the zygote and its workers give themselves.
const TITLE_ROOM: usize = 64;

/// A zygote that was started. It is killed when this is dropped, and its workers with it.
#[derive(Debug)]
pub struct ZygoteProcess {
    child: Child,
    control: std::os::unix::net::UnixStream,
}

impl ZygoteProcess {
    /// Starts the program. Call it from a thread that lives as long as the process: the kernel kills the zygote
    /// when the thread that started it ends.
    ///
    /// With `outgoing` its sessions may open connections.
    ///
    /// # Errors
    /// When the program cannot be executed or there is no descriptor left.
    pub fn spawn(program: &Path, outgoing: bool) -> io::Result<Self> {
        let (control, theirs) = std::os::unix::net::UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let child = Command::new(program)
            .arg0(format!("{:TITLE_ROOM$}", "hero_runner: zygote"))
            .args(["--zygote", &std::process::id().to_string()])
            .args(outgoing.then_some("--outgoing"))
            .env_clear()
            // Symbols that are bound before the fork are bound once for all workers.
            .env("LD_BIND_NOW", "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("cannot run {}: {error}", program.display()))
            })?;
        Ok(Self { child, control })
    }

    /// Waits until the zygote is warm.
    ///
    /// # Errors
    /// When it ends, says something else first, or takes too long.
    pub async fn warm(self) -> io::Result<Zygote> {
        let mut listener = Listener::new(&self.control)?;
        let (first, _) = tokio::time::timeout(WARM_DEADLINE, listener.receive()).await.map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, "the zygote did not become warm in 30 s")
        })??;
        let FromZygote::Ready { pid, engine, growth_refused } = first else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the zygote began with something else"));
        };
        Ok(Zygote { process: self, listener, pid, engine, growth_refused })
    }
}

impl Drop for ZygoteProcess {
    fn drop(&mut self) {
        // Both fail only when it is gone and reaped already. After SIGKILL the wait is short.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A warm zygote.
#[derive(Debug)]
pub struct Zygote {
    process: ZygoteProcess,
    pub(crate) listener: Listener,
    /// Its process id.
    pub pid: u32,
    /// The engine and its version.
    pub engine: String,
    /// What the engine prints when a guest wants more memory than there is for it.
    pub growth_refused: Vec<String>,
}

/// The sending side, which may be used while the other side waits for messages.
#[derive(Debug)]
pub(crate) struct ZygoteSender {
    socket: std::os::unix::net::UnixStream,
}

impl ZygoteSender {
    /// The sending side of a control socket.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub(crate) fn new(control: &std::os::unix::net::UnixStream) -> io::Result<Self> {
        Ok(Self { socket: control.try_clone()? })
    }

    /// Asks for a template. Never blocks.
    ///
    /// # Errors
    /// When the socket is full or broken.
    pub(crate) fn template(
        &self,
        template: u64,
        title: String,
        spec: TemplateSpec,
        fds: [BorrowedFd<'_>; message::TEMPLATE_FDS],
    ) -> io::Result<()> {
        self.send(&ToZygote::Template { template, title, spec }, &fds)
    }

    /// Says that nothing more will come: the zygote kills its workers, reaps them, and leaves.
    pub(crate) fn end(&self) {
        // It fails only when the other side is gone already.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    fn send(&self, message: &ToZygote, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = message::encode(message).map_err(io::Error::other)?;
        let sent = sys::fdpass::send(&self.socket, &bytes, fds)?;
        // A stream socket takes a message of this size whole or not at all.
        if sent == bytes.len() { Ok(()) } else { Err(io::Error::other("the control socket is full")) }
    }

    /// Asks for a worker. Never blocks.
    ///
    /// # Errors
    /// When the socket is full (a zygote that does not answer) or broken.
    pub(crate) fn fork(&self, slot: u64, fds: [BorrowedFd<'_>; message::FORK_FDS]) -> io::Result<()> {
        self.send(&ToZygote::Fork { slot }, &fds)
    }
}

impl Zygote {
    /// Waits until the process has left by itself, but no longer than this.
    pub(crate) async fn left(&mut self, patience: Duration) {
        let left = async {
            while let Ok(None) = self.process.child.try_wait() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Whoever drops it kills what is still there.
        let _ = tokio::time::timeout(patience, left).await;
    }

    /// The sending side.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub(crate) fn sender(&self) -> io::Result<ZygoteSender> {
        ZygoteSender::new(&self.process.control)
    }
}

/// The receiving side of a control socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixStream,
    reader: Reader,
}

impl Listener {
    /// The receiving side of a nonblocking control socket.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub(crate) fn new(control: &std::os::unix::net::UnixStream) -> io::Result<Self> {
        Ok(Self { socket: UnixStream::from_std(control.try_clone()?)?, reader: Reader::default() })
    }

    /// The next message, with its descriptor when it has one.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the zygote is gone; [`io::ErrorKind::InvalidData`] when what it
    /// says is no message.
    pub(crate) async fn receive(&mut self) -> io::Result<(FromZygote, Option<OwnedFd>)> {
        loop {
            if let Some(found) = self.reader.next()? {
                return Ok(found);
            }
            let (socket, reader) = (&self.socket, &mut self.reader);
            let got = socket.async_io(Interest::READABLE, || reader.fill(socket.as_fd())).await?;
            if got == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the zygote is gone"));
            }
        }
    }
}

/// Puts messages together from what a stream socket gives.
#[derive(Debug, Default)]
struct Reader {
    bytes: Vec<u8>,
    start: usize,
    /// In the order of their messages; `None` for one that this process had no room for.
    fds: VecDeque<Option<OwnedFd>>,
}

impl Reader {
    fn fill(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        let mut fds = Vec::new();
        let received = sys::fdpass::receive(socket, &mut buffer, &mut fds)?;
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(&buffer[..received.bytes]);
        if received.cut && fds.is_empty() {
            // The kernel ends a read behind the bytes that descriptors came with, so this is one message's.
            self.fds.push_back(None);
        }
        self.fds.extend(fds.into_iter().map(Some));
        Ok(received.bytes)
    }

    fn next(&mut self) -> io::Result<Option<(FromZygote, Option<OwnedFd>)>> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let Some((prefix, rest)) = self.bytes[self.start..].split_first_chunk::<PREFIX_LEN>() else {
            return Ok(None);
        };
        let len = message::announced(*prefix).map_err(invalid)?;
        let Some(body) = rest.get(..len) else { return Ok(None) };
        let message = message::decode(body).map_err(invalid)?;
        self.start += PREFIX_LEN + len;
        // Descriptors come in the order of the messages that have one.
        let fd = match message {
            FromZygote::Forked { .. } | FromZygote::TemplateForked { .. } => self.fds.pop_front().flatten(),
            _ => None,
        };
        Ok(Some((message, fd)))
    }
}
