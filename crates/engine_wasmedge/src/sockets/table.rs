//! The table of a guest's sockets.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno as Kernel;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, setsockopt, sockopt};

use super::options::{self, Name};
use crate::errno::Errno;
use crate::host::Guest;
use crate::poll;

/// The lowest number of a socket. The engine counts folders from 3 on and draws the numbers of files by lot, from 31 bits.
const FIRST: u32 = 256;

/// The most sockets that a guest may have.
const MAX: usize = 1024;

/// The sockets by their numbers.
#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Option<Socket>>,
    /// No slot before this one is free.
    full: usize,
}

impl Table {
    pub(super) fn get(&self, fd: u32) -> Option<&Socket> {
        self.slots.get(fd.checked_sub(FIRST)? as usize)?.as_ref()
    }

    /// # Errors
    /// BADF when there is none.
    pub(super) fn find(&mut self, fd: u32) -> Result<&mut Socket, Errno> {
        let slot = fd.checked_sub(FIRST).ok_or(Errno::BADF)? as usize;
        self.slots.get_mut(slot).and_then(Option::as_mut).ok_or(Errno::BADF)
    }

    /// A number for another socket.
    ///
    /// # Errors
    /// MFILE when there is none left.
    pub(super) fn vacant(&mut self, guest: Guest<'_>) -> Result<u32, Errno> {
        for slot in self.full..MAX {
            let fd = FIRST + slot as u32;
            if matches!(self.slots.get(slot), None | Some(None)) && guest.native(fd.cast_signed()).is_none() {
                self.full = slot;
                return Ok(fd);
            }
        }
        Err(Errno::MFILE)
    }

    /// Puts a socket where a number is [vacant](Self::vacant).
    pub(super) fn put(&mut self, fd: u32, socket: Socket) {
        let slot = (fd - FIRST) as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(socket);
        self.full = slot + 1;
    }

    /// Closes a socket; `None` when there was none.
    pub(super) fn remove(&mut self, fd: u32) -> Option<Socket> {
        let slot = fd.checked_sub(FIRST)? as usize;
        let socket = self.slots.get_mut(slot)?.take()?;
        self.full = self.full.min(slot);
        Some(socket)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.slots.iter().flatten()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Stream,
    Datagram,
}

/// What a socket is so far.
#[derive(Debug)]
pub(super) enum State {
    /// Opened by the guest; the kernel knows nothing of it.
    Unconnected,
    /// Bound, and so one with the listening sockets that were given for its port.
    Listening {
        /// Where they stand in the list.
        granted: usize,
        /// The address that the guest named.
        address: IpAddr,
    },
    /// A socket of the kernel.
    Kernel {
        fd: OwnedFd,
        /// Of a connection that was accepted: the port that the guest listens on, whatever the kernel calls it.
        port: Option<u16>,
    },
}

/// A socket of the guest's.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) family: Family,
    pub(super) kind: Kind,
    pub(super) state: State,
    /// Whether the guest's calls return at once.
    pub(super) nonblocking: bool,
    /// How long they wait otherwise; `None` is for ever.
    pub(super) receive_timeout: Option<Duration>,
    pub(super) send_timeout: Option<Duration>,
    /// Options that were set before there was a socket of the kernel.
    pub(super) options: Vec<(Name, i32)>,
    /// The guest has received something and sent nothing since.
    pub(super) owes: bool,
}

impl Socket {
    pub(super) fn new(family: Family, kind: Kind, state: State) -> Self {
        Self {
            family,
            kind,
            state,
            nonblocking: false,
            receive_timeout: None,
            send_timeout: None,
            options: Vec::new(),
            owes: false,
        }
    }

    /// The socket of the kernel.
    ///
    /// # Errors
    /// NOTCONN when there is none yet, or it listens.
    pub(super) fn connected(&self) -> Result<BorrowedFd<'_>, Errno> {
        match &self.state {
            State::Kernel { fd, .. } => Ok(fd.as_fd()),
            State::Unconnected | State::Listening { .. } => Err(Errno::NOTCONN),
        }
    }

    /// The socket of the kernel, made now if there is none.
    ///
    /// # Errors
    /// Those of socket(2), and INVAL when the guest's socket listens.
    pub(super) fn kernel(&mut self) -> Result<BorrowedFd<'_>, Errno> {
        if matches!(self.state, State::Unconnected) {
            let family = match self.family {
                Family::V4 => AddressFamily::Inet,
                Family::V6 => AddressFamily::Inet6,
            };
            let kind = match self.kind {
                Kind::Stream => SockType::Stream,
                Kind::Datagram => SockType::Datagram,
            };
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let fd = socket::socket(family, kind, flags, None)?;
            if self.kind == Kind::Stream {
                // A guest has no option for it, and its small answers shall not wait for an acknowledgement.
                setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
            }
            for (name, value) in self.options.drain(..) {
                options::set(fd.as_fd(), name, value)?;
            }
            self.state = State::Kernel { fd, port: None };
        }
        self.connected().map_err(|_| Errno::INVAL)
    }

    /// How long a call that receives may wait.
    pub(super) fn receiving(&self) -> Patience {
        Patience { nonblocking: self.nonblocking, timeout: self.receive_timeout }
    }

    /// How long a call that sends may wait.
    pub(super) fn sending(&self) -> Patience {
        Patience { nonblocking: self.nonblocking, timeout: self.send_timeout }
    }
}

/// How long a call may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    nonblocking: bool,
    timeout: Option<Duration>,
}

impl Patience {
    /// When a call that begins now has waited long enough; `None` is never.
    fn until(self) -> Option<Instant> {
        self.timeout.and_then(|timeout| Instant::now().checked_add(timeout))
    }

    /// Waits until the descriptor is ready; `false` when the call may not wait, or has waited long enough.
    ///
    /// # Errors
    /// Those of ppoll(2).
    pub(super) fn wait(self, fd: BorrowedFd<'_>, flags: PollFlags) -> nix::Result<bool> {
        Ok(!self.nonblocking && poll::wait(&mut [PollFd::new(fd, flags)], self.until())?)
    }

    /// Makes a call to the kernel that does not wait, and makes it again where it should have: when one of the
    /// descriptors is ready.
    ///
    /// # Errors
    /// AGAIN when the call may not wait, or has waited long enough; else the call's own.
    pub(super) fn retry<T>(
        self,
        fds: &[BorrowedFd<'_>],
        flags: PollFlags,
        mut attempt: impl FnMut() -> nix::Result<T>,
    ) -> Result<T, Errno> {
        let until = self.until();
        loop {
            match attempt() {
                Err(Kernel::EAGAIN) if !self.nonblocking => {
                    let mut fds: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, flags)).collect();
                    if !poll::wait(&mut fds, until)? {
                        return Err(Errno::AGAIN);
                    }
                }
                Err(Kernel::EINTR) => {}
                result => return Ok(result?),
            }
        }
    }
}
