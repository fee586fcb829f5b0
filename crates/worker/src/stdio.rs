//! The guest's standard streams: output becomes frames where it is written, input is the process's own.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::exec::{Command, Finished, Refused};
use engine::{Output, Stdio};
use frames::frame::MAX_PAYLOAD;
use frames::{Header, Kind, Stream};

use crate::exec;

/// Sends frames, each whole and at once, numbered from 0.
#[derive(Debug)]
pub(crate) struct FrameSender<'fd> {
    fd: BorrowedFd<'fd>,
    seq: u64,
}

impl<'fd> FrameSender<'fd> {
    pub(crate) fn new(fd: BorrowedFd<'fd>) -> Self {
        Self { fd, seq: 0 }
    }

    /// Sends a frame that is not output; a payload over the cap is cut, which only a message of an engine could need.
    ///
    /// # Errors
    /// `EPIPE` when nobody reads any more.
    pub(crate) fn control(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let payload = &payload[..payload.len().min(MAX_PAYLOAD)];
        self.send(kind, None, payload.len(), &[IoSlice::new(payload)])
    }

    fn send(
        &mut self,
        kind: Kind,
        stream: Option<Stream>,
        len: usize,
        payload: &[IoSlice<'_>],
    ) -> io::Result<()> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        let header = Header { len: len as u32, kind, stream, seq: self.seq, time }.encode();
        self.seq += 1;
        let mut slices = Vec::with_capacity(payload.len() + 1);
        slices.push(IoSlice::new(&header));
        slices.extend_from_slice(payload);
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let written = match sys::stdio::write_vectored(self.fd, rest) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                other => other?,
            };
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }
}

/// The standard streams of a session. Nothing is kept back: what the guest has written is in the pipe when its call
/// returns, so a kill loses nothing. A full pipe blocks the guest, which is the intended back-pressure.
#[derive(Debug)]
pub(crate) struct FrameWriter<'fd> {
    stdin: BorrowedFd<'fd>,
    logs: FrameSender<'fd>,
    /// Where standard output goes as it is.
    stdout: Option<OwnedFd>,
    /// Where requests come from.
    connection: Option<OwnedFd>,
    /// Where programs are asked for.
    exec: Option<OwnedFd>,
    began: Instant,
    load: Option<Duration>,
}

impl<'fd> FrameWriter<'fd> {
    /// Frames go to `frames`, standard input comes from `stdin`.
    pub(crate) fn new(stdin: BorrowedFd<'fd>, frames: BorrowedFd<'fd>) -> Self {
        let logs = FrameSender::new(frames);
        Self { stdin, logs, stdout: None, connection: None, exec: None, began: Instant::now(), load: None }
    }

    /// Sends the value that the invoked function has returned.
    ///
    /// # Errors
    /// `EPIPE` when nobody reads any more.
    pub(crate) fn value(&mut self, value: &str) -> io::Result<()> {
        value.as_bytes().chunks(MAX_PAYLOAD).try_for_each(|piece| self.logs.control(Kind::Value, piece))
    }

    /// From here on standard output goes there as it is, if there is such a place.
    pub(crate) fn raw_stdout(&mut self, place: Option<OwnedFd>) {
        self.stdout = place;
    }

    /// From here on this is what the engine waits for, if there is such a connection, instead of standard input.
    pub(crate) fn connection(&mut self, connection: Option<OwnedFd>) {
        self.connection = connection;
    }

    /// From here on programs are asked for there, if there is such a place.
    pub(crate) fn exec(&mut self, place: Option<OwnedFd>) {
        self.exec = place;
    }

    /// How long it took until the guest could begin; `None` before that.
    pub(crate) fn load(&self) -> Option<Duration> {
        self.load
    }
}

impl Stdio for FrameWriter<'_> {
    fn write(&mut self, output: Output, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let (Output::Stdout, Some(place)) = (output, &self.stdout) {
            return sys::stdio::write_vectored(place.as_fd(), slices);
        }
        let stream = match output {
            Output::Stdout => Stream::Stdout,
            Output::Stderr => Stream::Stderr,
        };
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total == 0 {
            return Ok(0);
        }
        if total <= MAX_PAYLOAD && slices.len() < MAX_SLICES {
            self.logs.send(Kind::Log, Some(stream), total, slices)?;
            return Ok(total);
        }
        for slice in slices {
            for piece in slice.chunks(MAX_PAYLOAD) {
                self.logs.send(Kind::Log, Some(stream), piece.len(), &[IoSlice::new(piece)])?;
            }
        }
        Ok(total)
    }

    fn read(&mut self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        sys::stdio::read_vectored(self.stdin, slices)
    }

    fn loaded(&mut self) {
        self.load.get_or_insert(self.began.elapsed());
    }

    fn exec(&mut self, command: Command<'_>) -> Result<Finished, Refused> {
        exec::ask(self.exec.as_ref().ok_or(Refused::Permission)?.as_fd(), command)
    }

    fn ready(&mut self) {
        // Without a supervisor nobody waits for it.
        let _ = self.logs.control(Kind::Ready, &[]);
    }

    fn stdin_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.connection.as_ref().map_or(self.stdin, AsFd::as_fd))
    }

    fn random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        sys::random::fill(buffer)
    }
}

/// IOV_MAX of Linux: the header takes one of them.
const MAX_SLICES: usize = 1024;
