//! What of the network a guest may use. All of it is decided before the guest runs: the sockets that it listens on are
//! open already, and where it may connect to is a list.

use std::os::fd::OwnedFd;

/// What of the network a guest may use.
#[derive(Debug, Default)]
pub struct Network {
    /// Where it may listen.
    pub listeners: Vec<Listener>,
    /// Where it may connect to.
    pub connect: Connect,
}

/// Listening sockets that answer when the guest binds `port`.
#[derive(Debug)]
pub struct Listener {
    /// The port that the guest names; the sockets' own may be another, or none.
    pub port: u16,
    /// Sockets that listen already and do not block (`O_NONBLOCK`), TCP or Unix stream. The guest accepts from all of
    /// them as though they were one.
    pub sockets: Vec<OwnedFd>,
}

/// Where a guest may connect to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Connect {
    /// Nowhere.
    #[default]
    Nothing,
    /// Anywhere that this machine can.
    Anything,
    /// To these.
    Listed(Vec<Destination>),
}

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// A name or an IP address, without brackets. A name stands for the addresses that it resolves to while the guest
    /// runs; `localhost` stands for 127.0.0.1 and ::1.
    pub host: String,
    /// 0: any port.
    pub port: u16,
}
