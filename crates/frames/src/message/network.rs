//! What of the network a session may use.

use serde::{Deserialize, Serialize};

/// What sockets a session may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sockets {
    /// None.
    #[default]
    None,
    /// Those that it is given, which listen.
    Given,
    /// Also such that it opens itself, to connect.
    Outgoing,
}

/// What of the network a session may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Ports that it may bind. Each has its listening sockets among the descriptors.
    pub listeners: Vec<Listener>,
    /// Where it may connect to.
    pub connect: Connect,
}

/// A port that a session may bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// How many of the descriptors are its sockets.
    pub sockets: u8,
}

/// Where a session may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connect {
    /// Nowhere.
    Nothing,
    /// Anywhere.
    Anything,
    /// To these hosts and ports; port 0 is any.
    Listed(Vec<(String, u16)>),
}
