//! Sockets of a guest, all ours: the functions that WasmEdge adds to WASI for them, and those of WASI that take any
//! descriptor.
//!
//! A guest's socket is an entry in a table. It has no socket of the kernel until it connects or sends; when it is bound
//! to a port that the guest was given, it stands for the sockets that listen there already. Sockets of the kernel never
//! block; where the guest's does, we wait in its place.
//!
//! Parameters and records are those of WasmEdge 0.17 (`lib/host/wasi/wasifunc.cpp`) and of the crate
//! `wasmedge_wasi_socket`, which guests use.

mod address;
mod connect;
mod descriptors;
mod drain;
mod listen;
mod options;
mod resolve;
mod table;
mod transfer;

use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd};

use engine::{Network, Output, Policy, Stdio};

use crate::errno::Errno;
use crate::host::Guest;
use crate::poll::Lists;
use crate::raw::Original;
use table::{Family, Kind, Socket, State, Table};

pub(crate) use address::{sock_getlocaladdr, sock_getlocaladdr_v2, sock_getpeeraddr, sock_getpeeraddr_v2};
pub(crate) use connect::sock_connect;
pub(crate) use descriptors::{fd_close, fd_fdstat_get, fd_fdstat_set_flags, fd_read, fd_write, poll_oneoff};
pub(crate) use drain::QUIET;
pub(crate) use listen::{sock_accept, sock_accept_v2, sock_bind, sock_listen};
pub(crate) use options::{sock_getsockopt, sock_setsockopt};
pub(crate) use resolve::sock_getaddrinfo;
pub(crate) use transfer::{
    sock_recv, sock_recv_from, sock_recv_from_v2, sock_send, sock_send_to, sock_shutdown,
};

/// All that a guest has of the network.
pub(crate) struct Sockets {
    table: Table,
    granted: Vec<Granted>,
    policy: Policy,
    /// The engine's functions, for descriptors that are not ours.
    engine: Original,
    /// What was said last, so that a guest that tries again and again says it once.
    said: String,
    /// Memory of `poll_oneoff`, kept from call to call.
    lists: Lists,
    /// Something was received or sent since somebody last asked.
    busy: bool,
}

/// A port that the guest may bind.
pub(crate) struct Granted {
    port: u16,
    /// Open as long as the run, which the network outlives.
    sockets: Vec<BorrowedFd<'static>>,
    /// Which of them is asked first at the next accept: none of them has to wait for another that is always busy.
    next: usize,
}

/// One call of a function that has to do with sockets.
pub(crate) struct Call<'call> {
    pub(crate) guest: Guest<'call>,
    pub(crate) stdio: &'call mut dyn Stdio,
    pub(crate) sockets: &'call mut Sockets,
}

impl Sockets {
    pub(crate) fn new(engine: Original, network: &Network) -> Self {
        let granted = network.listeners.iter().map(|listener| Granted {
            port: listener.port,
            sockets: listener
                .sockets
                .iter()
                .filter_map(|socket| sys::stdio::numbered(socket.as_raw_fd()))
                .collect(),
            next: 0,
        });
        if !network.listeners.is_empty() {
            // Without, it leaves at once when it is asked to, which is allowed.
            let _ = sys::leave::only_when_waiting();
        }
        Self {
            table: Table::default(),
            granted: granted.collect(),
            policy: Policy::new(network.connect.clone()),
            engine,
            said: String::new(),
            lists: Lists::default(),
            busy: false,
        }
    }

    /// Begins anew, with this network and no sockets.
    pub(crate) fn reset(&mut self, network: &Network) {
        *self = Self::new(self.engine, network);
    }

    /// The descriptors to wait for in the place of a socket of the guest's, or `None` when the number is none.
    pub(crate) fn waits_for(&self, fd: u32) -> Option<Waits<'_>> {
        Some(match &self.table.get(fd)?.state {
            State::Unconnected => Waits::Nothing,
            // Who is about to leave takes no more connections; another process will.
            State::Listening { .. } if sys::leave::asked() => Waits::Accept(&[]),
            State::Listening { granted, .. } => Waits::Accept(&self.granted[*granted].sockets),
            State::Kernel { fd, .. } => {
                sys::stdio::numbered(fd.as_raw_fd()).map_or(Waits::Nothing, Waits::Transfer)
            }
        })
    }

    /// Tells whoever reads the guest's standard error why something was refused.
    fn say(&mut self, stdio: &mut dyn Stdio, what: String) {
        if self.said != what {
            // The guest gets its errno in any case.
            let _ = stdio.write(Output::Stderr, &[IoSlice::new(what.as_bytes())]);
            self.said = what;
        }
    }
}

/// What a wait for a socket of the guest's comes down to.
pub(crate) enum Waits<'a> {
    /// There is nothing that could happen.
    Nothing,
    /// A connection on one of them.
    Accept(&'a [BorrowedFd<'static>]),
    /// Bytes, or room for some.
    Transfer(BorrowedFd<'static>),
}

/// `sock_open(family, type, fd) -> errno`
pub(crate) fn sock_open(call: Call<'_>, [family, kind, place]: [u32; 3]) -> Result<(), Errno> {
    let family = match family {
        1 => Family::V4,
        2 => Family::V6,
        _ => return Err(Errno::AFNOSUPPORT),
    };
    let kind = match kind {
        1 => Kind::Datagram,
        2 => Kind::Stream,
        _ => return Err(Errno::INVAL),
    };
    let fd = call.sockets.table.vacant(call.guest)?;
    address::number(call.guest, place, fd)?;
    call.sockets.table.put(fd, Socket::new(family, kind, State::Unconnected));
    Ok(())
}
