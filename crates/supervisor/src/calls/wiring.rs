//! What a part of this server gives a session beyond what a request can ask for.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use api::permission::{Net, Permissions};
use bytes::Bytes;
use frames::message::{Connect, Listener, Network};

/// What a part of this server gives a session beyond what a request can ask for.
#[derive(Debug, Default)]
pub struct Wiring {
    /// Ports that the guest may bind, each with nonblocking sockets that listen already.
    pub listeners: Vec<(u16, Vec<Arc<OwnedFd>>)>,
    /// Bytes for standard input, instead of the request's.
    pub stdin: Bytes,
    /// Where standard output goes as it is, instead of into the log.
    pub stdout: Option<OwnedFd>,
    /// It is to run for long: it never steps back behind others, its log has no limit but the history's, and its memory is
    /// also limited by a cgroup where there are any.
    pub resident: bool,
}

impl Wiring {
    /// The network of a session with this wiring and these permissions; `None` when it has none.
    pub(super) fn network(&self, permissions: &Permissions) -> Option<Network> {
        let connect = match &permissions.net {
            Net::Anything => Connect::Anything,
            Net::Listed(list) if !list.is_empty() => {
                Connect::Listed(list.iter().map(|to| (to.host.clone(), to.port)).collect())
            }
            Net::Nothing | Net::Listed(_) => Connect::Nothing,
        };
        if self.listeners.is_empty() && connect == Connect::Nothing {
            return None;
        }
        let listener =
            |(port, sockets): &(u16, Vec<_>)| Listener { port: *port, sockets: sockets.len() as u8 };
        Some(Network { listeners: self.listeners.iter().map(listener).collect(), connect })
    }

    /// All descriptors in the order of the message.
    pub(super) fn given(self) -> Vec<Arc<OwnedFd>> {
        let sockets = self.listeners.into_iter().flat_map(|(_, sockets)| sockets);
        self.stdout.map(Arc::new).into_iter().chain(sockets).collect()
    }
}
