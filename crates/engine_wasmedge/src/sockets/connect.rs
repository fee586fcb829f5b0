//! Connecting.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use engine::{Stdio, policy};
use nix::errno::Errno as Kernel;
use nix::poll::PollFlags;
use nix::sys::socket::{self, SockaddrStorage, getsockopt, sockopt};

use super::table::Family;
use super::{Call, Sockets, address};
use crate::errno::Errno;

impl Sockets {
    /// Whether the guest may send there.
    ///
    /// # Errors
    /// ACCES when it may not, which is also said on its standard error.
    pub(super) fn permit(&mut self, stdio: &mut dyn Stdio, to: SocketAddr) -> Result<(), Errno> {
        if self.policy.allows(to) {
            return Ok(());
        }
        let place = policy::shown(&self.policy, to);
        self.refuse(stdio, &format!("connect to {place}"));
        Err(Errno::ACCES)
    }

    /// Says what would have to be permitted.
    pub(super) fn refuse(&mut self, stdio: &mut dyn Stdio, what: &str) {
        self.say(stdio, policy::refusal(what));
    }
}

/// `sock_connect(fd, address, port) -> errno`
pub(crate) fn sock_connect(call: Call<'_>, [fd, record, port]: [u32; 3]) -> Result<(), Errno> {
    let Call { guest, stdio, sockets } = call;
    let to = address::read(guest, record, port)?;
    let family = sockets.table.find(fd)?.family;
    if to.is_ipv4() != (family == Family::V4) {
        return Err(Errno::AFNOSUPPORT);
    }
    sockets.permit(stdio, to)?;
    let socket = sockets.table.find(fd)?;
    let patience = socket.sending();
    let fd = socket.kernel()?;
    match socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(to)) {
        Err(Kernel::EINPROGRESS) if patience.wait(fd, PollFlags::POLLOUT)? => {
            match getsockopt(&fd, sockopt::SocketError)? {
                0 => Ok(()),
                error => Err(Kernel::from_raw(error).into()),
            }
        }
        result => Ok(result?),
    }
}
