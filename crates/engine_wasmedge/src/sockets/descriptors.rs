//! The functions of WASI that take any descriptor: ours when the number is a socket's, else the engine's or those that
//! every guest has.

use super::Call;
use super::listen::NONBLOCK;
use super::table::Kind;
use crate::errno::Errno;
use crate::raw::FDSTAT;
use crate::{poll, wasi};

/// The result of a function that returns its errno.
fn done(errno: Errno) -> Result<(), Errno> {
    if errno == Errno::SUCCESS { Ok(()) } else { Err(errno) }
}

/// `fd_read(fd, list, count, read) -> errno`
pub(crate) fn fd_read(call: Call<'_>, parameters: [u32; 4]) -> Result<(), Errno> {
    match call.sockets.table.get(parameters[0]) {
        Some(_) => call.sockets.read(call.guest, parameters),
        None => done(wasi::fd_read(call.guest, call.stdio, parameters)),
    }
}

/// `fd_write(fd, list, count, written) -> errno`
pub(crate) fn fd_write(call: Call<'_>, parameters: [u32; 4]) -> Result<(), Errno> {
    match call.sockets.table.get(parameters[0]) {
        Some(_) => call.sockets.write(call.guest, parameters),
        None => done(wasi::fd_write(call.guest, call.stdio, parameters)),
    }
}

/// `fd_close(fd) -> errno`
pub(crate) fn fd_close(call: Call<'_>, [fd]: [u32; 1]) -> Result<(), Errno> {
    match call.sockets.table.remove(fd) {
        Some(_) => Ok(()),
        None => call.sockets.engine.close(fd),
    }
}

/// `fd_fdstat_set_flags(fd, flags) -> errno`
pub(crate) fn fd_fdstat_set_flags(call: Call<'_>, [fd, flags]: [u32; 2]) -> Result<(), Errno> {
    match call.sockets.table.find(fd) {
        Ok(socket) => {
            socket.nonblocking = flags & NONBLOCK != 0;
            Ok(())
        }
        Err(_) => call.sockets.engine.set_flags(fd, flags),
    }
}

/// `filetype.socket_dgram`, `filetype.socket_stream`
const DATAGRAM: u8 = 5;
const STREAM: u8 = 6;

/// `rights` of sockets: fd_read, fd_fdstat_set_flags, fd_write, poll_fd_readwrite, sock_shutdown, sock_accept.
const RIGHTS: u64 = 1 << 1 | 1 << 3 | 1 << 6 | 1 << 27 | 1 << 28 | 1 << 29;

/// `fd_fdstat_get(fd, stat) -> errno`
pub(crate) fn fd_fdstat_get(call: Call<'_>, [fd, place]: [u32; 2]) -> Result<(), Errno> {
    let stat = match call.sockets.table.get(fd) {
        Some(socket) => {
            let mut stat = [0; FDSTAT];
            stat[0] = if socket.kind == Kind::Datagram { DATAGRAM } else { STREAM };
            stat[2] = if socket.nonblocking { NONBLOCK as u8 } else { 0 };
            stat[8..16].copy_from_slice(&RIGHTS.to_le_bytes());
            stat
        }
        None => call.sockets.engine.stat(fd)?,
    };
    call.guest.bytes(place, FDSTAT as u32).ok_or(Errno::FAULT)?.copy_from_slice(&stat);
    Ok(())
}

/// `poll_oneoff(in, out, count, events) -> errno`
pub(crate) fn poll_oneoff(call: Call<'_>, parameters: [u32; 4]) -> Result<(), Errno> {
    let mut lists = std::mem::take(&mut call.sockets.lists);
    let result = poll::poll(call.guest, call.stdio, Some(call.sockets), &mut lists, parameters);
    call.sockets.lists = lists;
    result
}
