//! What a part of this server gives a session beyond what a request can ask for.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use api::permission::{Net, Permissions};
use bytes::Bytes;
use frames::message::{Connect, Listener, Network, Serve};

/// What a part of this server gives a session beyond what a request can ask for.
#[derive(Debug, Default)]
pub struct Wiring {
    /// Ports that the guest may bind, each with nonblocking sockets that listen already.
    pub listeners: Vec<(u16, Vec<Arc<OwnedFd>>)>,
    /// Bytes for standard input, instead of the request's.
    pub stdin: Bytes,
    /// Where standard output goes as it is, instead of into the log.
    pub stdout: Option<OwnedFd>,
    /// It answers HTTP requests, instead of running from its beginning to its end.
    pub serve: Option<Serving>,
    /// It is to run for long: it never steps back behind others, its log has no limit but the history's, and its memory is
    /// also limited by a cgroup where there are any.
    pub resident: bool,
}

/// How a session answers HTTP requests.
#[derive(Debug)]
pub struct Serving {
    /// After so many requests it ends; at least 1.
    pub max_requests: u32,
    /// The longest that one may take.
    pub timeout: Duration,
    /// The connection that they come on: a stream socket that does not block.
    pub connection: Arc<OwnedFd>,
}

impl Wiring {
    /// How the session answers HTTP requests, as the worker needs it.
    pub(super) fn serve(&self) -> Option<Serve> {
        let serving = self.serve.as_ref()?;
        let timeout_ms = u64::try_from(serving.timeout.as_millis()).unwrap_or(u64::MAX);
        Some(Serve { max_requests: serving.max_requests, timeout_ms })
    }

    /// Whether it never steps back behind others.
    pub(super) fn is_lasting(&self) -> bool {
        self.resident || self.serve.as_ref().is_some_and(|serving| serving.max_requests > 1)
    }

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
    pub(super) fn given(&mut self) -> Vec<Arc<OwnedFd>> {
        let sockets = self.listeners.iter().flat_map(|(_, sockets)| sockets).cloned();
        let connection = self.serve.iter().map(|serving| Arc::clone(&serving.connection));
        self.stdout.take().map(Arc::new).into_iter().chain(connection).chain(sockets).collect()
    }
}
