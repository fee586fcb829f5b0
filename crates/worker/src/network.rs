//! The descriptors that come with a session, and what of the network they make.

use std::os::fd::OwnedFd;

use engine::{Connect, Destination, Listener, Network};
use frames::SessionSpec;
use frames::message;

/// What came with a session.
pub(crate) struct Given {
    /// The module's file.
    pub(crate) module: OwnedFd,
    /// Where standard output goes as it is.
    pub(crate) stdout: Option<OwnedFd>,
    /// The connection that it serves.
    pub(crate) connection: Option<OwnedFd>,
    /// What of the network it may use.
    pub(crate) network: Option<Network>,
    /// Where it asks for programs.
    pub(crate) exec: Option<OwnedFd>,
}

impl Given {
    /// Tells the descriptors apart; `None` when there are not as many as the specification says.
    pub(crate) fn of(spec: &SessionSpec, fds: Vec<OwnedFd>) -> Option<Self> {
        let mut fds = fds.into_iter();
        let module = fds.next()?;
        let stdout = if spec.raw_stdout { Some(fds.next()?) } else { None };
        let connection = if spec.serve.is_some() { Some(fds.next()?) } else { None };
        let network = match &spec.network {
            Some(network) => Some(bring(network, &mut fds)?),
            None => None,
        };
        let exec = if spec.exec { Some(fds.next()?) } else { None };
        Some(Self { module, stdout, connection, network, exec })
    }
}

fn bring(network: &message::Network, fds: &mut impl Iterator<Item = OwnedFd>) -> Option<Network> {
    let listener = |listener: &message::Listener| {
        let count = usize::from(listener.sockets);
        let sockets: Vec<OwnedFd> = fds.by_ref().take(count).collect();
        (sockets.len() == count).then_some(Listener { port: listener.port, sockets })
    };
    let listeners = network.listeners.iter().map(listener).collect::<Option<Vec<_>>>()?;
    let connect = match &network.connect {
        message::Connect::Nothing => Connect::Nothing,
        message::Connect::Anything => Connect::Anything,
        message::Connect::Listed(list) => Connect::Listed(
            list.iter().map(|(host, port)| Destination { host: host.clone(), port: *port }).collect(),
        ),
    };
    Some(Network { listeners, connect })
}
