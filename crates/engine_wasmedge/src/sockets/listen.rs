//! Binding to a port that was given, and accepting connections there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno as Kernel;
use nix::poll::PollFlags;
use nix::sys::socket::{setsockopt, sockopt};

use super::table::{Kind, Socket, State};
use super::{Call, Granted, address};
use crate::errno::Errno;
use crate::host;

/// `fdflags.nonblock`
pub(super) const NONBLOCK: u32 = 4;

/// `sock_bind(fd, address, port) -> errno`
pub(crate) fn sock_bind(call: Call<'_>, [fd, record, port]: [u32; 3]) -> Result<(), Errno> {
    let Call { guest, stdio, sockets } = call;
    let address = address::read(guest, record, port)?;
    let socket = sockets.table.find(fd)?;
    if !matches!(socket.state, State::Unconnected) {
        return Err(Errno::INVAL);
    }
    let datagram = socket.kind == Kind::Datagram;
    // What a client says that has no wish; the kernel will give it a port when it sends.
    if datagram && address.port() == 0 {
        return Ok(());
    }
    if !is_this_machine(address.ip()) {
        return Err(Errno::ADDRNOTAVAIL);
    }
    let granted = sockets.granted.iter().position(|granted| granted.port == address.port());
    let Some(granted) = granted.filter(|_| !datagram) else {
        let which = if datagram { "UDP port" } else { "port" };
        let ports: Vec<String> = sockets.granted.iter().map(|granted| granted.port.to_string()).collect();
        let given = if ports.is_empty() { "no port".to_owned() } else { ports.join(", ") };
        let port = address.port();
        sockets.say(
            stdio,
            format!("hero_runner: this session may not listen on {which} {port}; it was given {given}\n"),
        );
        return Err(Errno::ACCES);
    };
    let bound =
        |socket: &Socket| matches!(socket.state, State::Listening { granted: at, .. } if at == granted);
    if sockets.table.iter().any(bound) {
        return Err(Errno::ADDRINUSE);
    }
    for socket in &sockets.granted[granted].sockets {
        // Connections inherit it. A guest has no option for it, and its small answers shall not wait for an
        // acknowledgement. A Unix socket has no such option and needs none.
        let _ = setsockopt(socket, sockopt::TcpNoDelay, &true);
    }
    sockets.table.find(fd)?.state = State::Listening { granted, address: address.ip() };
    Ok(())
}

/// Whether an address is one of those that stand for this machine. The sockets were bound before the guest was asked.
fn is_this_machine(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST,
        IpAddr::V6(ip) => ip.is_unspecified() || ip == Ipv6Addr::LOCALHOST,
    }
}

/// `sock_listen(fd, backlog) -> errno`: its sockets do already.
pub(crate) fn sock_listen(call: Call<'_>, [fd, _]: [u32; 2]) -> Result<(), Errno> {
    match call.sockets.table.find(fd)?.state {
        State::Listening { .. } => Ok(()),
        State::Unconnected | State::Kernel { .. } => Err(Errno::INVAL),
    }
}

/// `sock_accept(fd, connection) -> errno`
pub(crate) fn sock_accept(call: Call<'_>, [fd, place]: [u32; 2]) -> Result<(), Errno> {
    sock_accept_v2(call, [fd, 0, place])
}

/// `sock_accept(fd, flags, connection) -> errno`
pub(crate) fn sock_accept_v2(call: Call<'_>, [fd, flags, place]: [u32; 3]) -> Result<(), Errno> {
    let Call { guest, sockets, .. } = call;
    let listener = sockets.table.find(fd)?;
    let State::Listening { granted, .. } = listener.state else { return Err(Errno::INVAL) };
    let (family, patience) = (listener.family, listener.receiving());
    // Before the connection is taken: one that has no place stays where another process can take it.
    let number = sockets.table.vacant(guest)?;
    address::number(guest, place, number)?;
    let Granted { port, sockets: listening, next } = &mut sockets.granted[granted];
    let fd = patience.retry(listening, PollFlags::POLLIN, || accept(listening, next))?;
    let state = State::Kernel { fd, port: Some(*port) };
    let mut connection = Socket::new(family, Kind::Stream, state);
    connection.nonblocking = flags & NONBLOCK != 0;
    sockets.table.put(number, connection);
    Ok(())
}

/// Accepts from whichever of the sockets has a connection, from `next` on.
fn accept(sockets: &[BorrowedFd<'_>], next: &mut usize) -> nix::Result<OwnedFd> {
    for step in 0..sockets.len() {
        let at = (*next + step) % sockets.len();
        match host::accept(sockets[at]) {
            // Nothing there, or it has gone before it was taken.
            Err(Kernel::EAGAIN | Kernel::ECONNABORTED | Kernel::EPROTO) => {}
            result => {
                *next = at + 1;
                return result;
            }
        }
    }
    Err(Kernel::EAGAIN)
}
