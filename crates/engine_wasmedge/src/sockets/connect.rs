//! Connecting.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use engine::Stdio;
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
        let name = self.policy.name_of(to.ip()).map_or_else(|| shown(to.ip()), str::to_owned);
        let port = to.port();
        self.refuse(stdio, &format!("connect to {name}:{port}"));
        Err(Errno::ACCES)
    }

    /// Says what would have to be permitted.
    pub(super) fn refuse(&mut self, stdio: &mut dyn Stdio, what: &str) {
        self.say(stdio, format!("this session may not {what}; permissions.net has to list it"));
    }
}

/// An address as it stands before a port.
fn shown(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
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
