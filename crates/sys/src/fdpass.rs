//! Messages with descriptors over Unix stream sockets (SCM_RIGHTS).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags};

/// The most descriptors that one message carries here.
pub const MAX_FDS: usize = 8;

/// Sends bytes with descriptors; returns how many bytes were taken. The descriptors travel with the first of them.
///
/// # Errors
/// The errno of sendmsg(2), `EAGAIN` on a nonblocking socket that is full. SIGPIPE is never raised.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    loop {
        let sent = sendmsg::<()>(
            socket.as_fd().as_raw_fd(),
            &[IoSlice::new(bytes)],
            control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        );
        match sent {
            Err(Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// What a call of [`receive`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// How many bytes; 0 is the end of the stream.
    pub bytes: usize,
    /// Descriptors that came with them are lost, because this process has no room for more.
    pub cut: bool,
}

/// Receives bytes and the descriptors that came with them. All descriptors are close-on-exec.
///
/// # Errors
/// The errno of recvmsg(2), `EAGAIN` on a nonblocking socket that is empty.
pub fn receive(socket: impl AsFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    loop {
        // Dropping it closes what was not taken out. (nix gives no descriptor at all when some were cut off, and
        // leaves those open that were not.)
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let slices = &mut [IoSliceMut::new(buffer)];
        let received = match rustix::net::recvmsg(&socket, slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(found) = message {
                fds.extend(found);
            }
        }
        return Ok(Received { bytes: received.bytes, cut: received.flags.contains(ReturnFlags::CTRUNC) });
    }
}
