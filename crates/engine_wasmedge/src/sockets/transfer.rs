//! Sending and receiving.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use engine::Stdio;
use nix::poll::PollFlags;
use nix::sys::socket::{self, MsgFlags, Shutdown, SockaddrStorage};
use nix::sys::uio::readv;

use super::table::Kind;
use super::{Call, Sockets, address};
use crate::errno::Errno;
use crate::host::Guest;
use crate::wasi;

/// `riflags`
const PEEK: u32 = 1;
const WAIT_FOR_ALL: u32 = 2;
/// `roflags.recv_data_truncated`
const TRUNCATED: u16 = 1;

/// What came in one call.
#[derive(Debug, Clone, Copy)]
struct Received {
    bytes: usize,
    /// There was more of the datagram than fitted.
    truncated: bool,
    /// Who sent the datagram.
    from: Option<SocketAddr>,
}

impl Sockets {
    /// Receives into the buffers that the guest's list names.
    fn receive_into(
        &mut self,
        guest: Guest<'_>,
        fd: u32,
        [list, count, flags]: [u32; 3],
    ) -> Result<Received, Errno> {
        // One buffer is what nearly everybody has, and needs no memory.
        if count == 1 {
            return self.receive(fd, &mut [IoSliceMut::new(wasi::single(guest, list)?)], flags);
        }
        let mut slices: Vec<IoSliceMut<'_>> =
            wasi::buffers(guest, list, count)?.into_iter().map(IoSliceMut::new).collect();
        self.receive(fd, &mut slices, flags)
    }

    fn receive(&mut self, fd: u32, mut slices: &mut [IoSliceMut<'_>], flags: u32) -> Result<Received, Errno> {
        let socket = self.table.find(fd)?;
        let (patience, fd) = (socket.receiving(), socket.connected()?);
        if socket.kind == Kind::Datagram {
            loop {
                let received =
                    patience.retry(&[fd], PollFlags::POLLIN, || receive_datagram(fd, slices, flags))?;
                // Anybody who guesses the port can send; a guest hears only from where it may send to.
                if received.from.is_none_or(|from| self.policy.known_to_allow(from)) {
                    return Ok(received);
                }
                if flags & PEEK != 0 {
                    let _ = receive_datagram(fd, &mut [], 0);
                }
            }
        }
        let mut bytes = 0;
        loop {
            let more = patience.retry(&[fd], PollFlags::POLLIN, || receive_bytes(fd, slices, flags));
            match more {
                Err(_) if bytes > 0 => break,
                Err(error) => return Err(error),
                Ok(more) => {
                    bytes += more;
                    IoSliceMut::advance_slices(&mut slices, more);
                    let whole = more == 0 || slices.is_empty();
                    if whole || socket.nonblocking || flags & (PEEK | WAIT_FOR_ALL) != WAIT_FOR_ALL {
                        break;
                    }
                }
            }
        }
        socket.owes |= bytes > 0;
        self.busy = true;
        Ok(Received { bytes, truncated: false, from: None })
    }

    /// Sends what the guest's list of buffers names; to the address only if there is one.
    fn send_from(
        &mut self,
        guest: Guest<'_>,
        fd: u32,
        [list, count]: [u32; 2],
        to: Option<SocketAddr>,
    ) -> Result<usize, Errno> {
        if count == 1 {
            return self.send(fd, &mut [IoSlice::new(wasi::single(guest, list)?)], to);
        }
        let buffers = wasi::buffers(guest, list, count)?;
        let mut slices: Vec<IoSlice<'_>> = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
        self.send(fd, &mut slices, to)
    }

    fn send(
        &mut self,
        fd: u32,
        mut slices: &mut [IoSlice<'_>],
        to: Option<SocketAddr>,
    ) -> Result<usize, Errno> {
        let socket = self.table.find(fd)?;
        socket.owes = false;
        self.busy = true;
        let (patience, fd) = (socket.sending(), socket.connected()?);
        let to = to.map(SockaddrStorage::from);
        let mut bytes = 0;
        loop {
            let more = patience.retry(&[fd], PollFlags::POLLOUT, || {
                socket::sendmsg(fd.as_raw_fd(), slices, &[], MsgFlags::MSG_NOSIGNAL, to.as_ref())
            });
            match more {
                Err(_) if bytes > 0 => return Ok(bytes),
                Err(error) => return Err(error),
                Ok(more) => {
                    bytes += more;
                    IoSlice::advance_slices(&mut slices, more);
                    // A call that may wait sends everything.
                    if slices.is_empty() || socket.nonblocking || socket.kind == Kind::Datagram {
                        return Ok(bytes);
                    }
                }
            }
        }
    }

    /// `fd_read` on a socket.
    pub(super) fn read(&mut self, guest: Guest<'_>, [fd, list, count, read]: [u32; 4]) -> Result<(), Errno> {
        let received = self.receive_into(guest, fd, [list, count, 0])?;
        address::number(guest, read, received.bytes as u32)
    }

    /// `fd_write` on a socket.
    pub(super) fn write(
        &mut self,
        guest: Guest<'_>,
        [fd, list, count, written]: [u32; 4],
    ) -> Result<(), Errno> {
        let sent = self.send_from(guest, fd, [list, count], None)?;
        address::number(guest, written, sent as u32)
    }

    /// Before something is sent to an address: a socket for datagrams sends without a connection.
    fn send_to(
        &mut self,
        stdio: &mut dyn Stdio,
        fd: u32,
        to: SocketAddr,
    ) -> Result<Option<SocketAddr>, Errno> {
        if self.table.find(fd)?.kind == Kind::Stream {
            return Ok(None);
        }
        self.permit(stdio, to)?;
        self.table.find(fd)?.kernel()?;
        Ok(Some(to))
    }
}

/// Receives bytes of a stream.
fn receive_bytes(fd: BorrowedFd<'_>, slices: &mut [IoSliceMut<'_>], flags: u32) -> nix::Result<usize> {
    if flags & PEEK == 0 {
        return readv(fd, slices);
    }
    // Less than was asked for is an answer too: the first buffer is enough.
    let first = slices.iter_mut().find(|slice| !slice.is_empty());
    first.map_or(Ok(0), |first| socket::recv(fd.as_raw_fd(), first, MsgFlags::MSG_PEEK))
}

fn receive_datagram(fd: BorrowedFd<'_>, slices: &mut [IoSliceMut<'_>], flags: u32) -> nix::Result<Received> {
    let flags = if flags & PEEK == 0 { MsgFlags::empty() } else { MsgFlags::MSG_PEEK };
    let message = socket::recvmsg::<SockaddrStorage>(fd.as_raw_fd(), slices, None, flags)?;
    Ok(Received {
        bytes: message.bytes,
        truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        from: message.address.as_ref().map(address::of),
    })
}

/// Tells the guest how much came.
fn tell(guest: Guest<'_>, received: Received, [bytes, flags]: [u32; 2]) -> Result<(), Errno> {
    address::number(guest, bytes, received.bytes as u32)?;
    address::half(guest, flags, if received.truncated { TRUNCATED } else { 0 })
}

/// `sock_recv(fd, list, count, flags, bytes, flags out) -> errno`
pub(crate) fn sock_recv(call: Call<'_>, [fd, list, count, flags, bytes, out]: [u32; 6]) -> Result<(), Errno> {
    let received = call.sockets.receive_into(call.guest, fd, [list, count, flags])?;
    tell(call.guest, received, [bytes, out])
}

/// `sock_recv_from(fd, list, count, address, flags, bytes, flags out) -> errno`
pub(crate) fn sock_recv_from(
    call: Call<'_>,
    [fd, list, count, record, flags, bytes, out]: [u32; 7],
) -> Result<(), Errno> {
    receive_from(call, fd, [list, count, flags], record, [bytes, out]).map(|_| ())
}

/// `sock_recv_from_v2(fd, list, count, address, flags, port, bytes, flags out) -> errno`
pub(crate) fn sock_recv_from_v2(
    call: Call<'_>,
    [fd, list, count, record, flags, port, bytes, out]: [u32; 8],
) -> Result<(), Errno> {
    let guest = call.guest;
    let from = receive_from(call, fd, [list, count, flags], record, [bytes, out])?;
    address::half(guest, port, from.port())
}

fn receive_from(
    call: Call<'_>,
    fd: u32,
    wanted: [u32; 3],
    record: u32,
    out: [u32; 2],
) -> Result<SocketAddr, Errno> {
    let received = call.sockets.receive_into(call.guest, fd, wanted)?;
    let from = match received.from {
        Some(from) => from,
        None => address::peer(call.sockets.table.find(fd)?.connected()?)?,
    };
    address::write(call.guest, record, from.ip())?;
    tell(call.guest, received, out)?;
    Ok(from)
}

/// `sock_send(fd, list, count, flags, bytes) -> errno`
pub(crate) fn sock_send(call: Call<'_>, [fd, list, count, _flags, bytes]: [u32; 5]) -> Result<(), Errno> {
    call.sockets.write(call.guest, [fd, list, count, bytes])
}

/// `sock_send_to(fd, list, count, address, port, flags, bytes) -> errno`
pub(crate) fn sock_send_to(
    call: Call<'_>,
    [fd, list, count, record, port, _flags, bytes]: [u32; 7],
) -> Result<(), Errno> {
    let Call { guest, stdio, sockets } = call;
    let to = sockets.send_to(stdio, fd, address::read(guest, record, port)?)?;
    let sent = sockets.send_from(guest, fd, [list, count], to)?;
    address::number(guest, bytes, sent as u32)
}

/// `sock_shutdown(fd, how) -> errno`
pub(crate) fn sock_shutdown(call: Call<'_>, [fd, how]: [u32; 2]) -> Result<(), Errno> {
    let how = match how {
        1 => Shutdown::Read,
        2 => Shutdown::Write,
        3 => Shutdown::Both,
        _ => return Err(Errno::INVAL),
    };
    // Sockets that listen are not the guest's alone: they listen on.
    let fd = call.sockets.table.find(fd)?.connected()?;
    Ok(socket::shutdown(fd.as_raw_fd(), how)?)
}
