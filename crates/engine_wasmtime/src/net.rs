//! What of the network a guest may use, asked from wherever its requests pass.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::policy::{self, literal};
use engine::{Connect, Network, Output, Policy};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

use crate::stdio;

/// What of the network the guest may use. Its copies are one: what one has looked up, all know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Net {
    granted: bool,
    anything: bool,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    policy: Policy,
    /// What was said last, so that a guest that tries again and again says it once.
    said: String,
}

impl Net {
    /// What a run may use.
    pub(crate) fn new(network: Option<&Network>) -> Self {
        let connect = network.map(|network| network.connect.clone()).unwrap_or_default();
        Self {
            granted: network.is_some(),
            anything: connect == Connect::Anything,
            shared: Arc::new(Mutex::new(Shared { policy: Policy::new(connect), said: String::new() })),
        }
    }

    /// Whether there is any network; says what would have to be permitted when not.
    pub(crate) fn is_granted(&self) -> bool {
        if !self.granted {
            self.refuse("use the network");
        }
        self.granted
    }

    /// Whether the guest may connect there; says what would have to be permitted when not. A name that is listed is looked up
    /// for this when it never was.
    pub(crate) async fn permit(&self, to: SocketAddr) -> bool {
        if self.lock().policy.known_to_allow(to) {
            return true;
        }
        let unknown = self.lock().policy.unknown(to.port());
        for name in &unknown {
            // What does not resolve allows nothing.
            let _ = self.look_up(name).await;
        }
        if !unknown.is_empty() && self.lock().policy.known_to_allow(to) {
            return true;
        }
        let place = policy::shown(&self.lock().policy, to);
        self.refuse(&format!("connect to {place}"));
        false
    }

    /// What a name stands for, by the machine's own ways.
    ///
    /// # Errors
    /// `PermissionDenied` when the guest may not know, which is also said; else those of getaddrinfo(3).
    pub(crate) async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if let Some(ips) = literal(name) {
            return Ok(ips);
        }
        if !self.lock().policy.may_resolve(name) {
            self.refuse(&format!("look up {name}"));
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.look_up(name).await
    }

    async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await;
        let found = found.map(|found| found.map(|address| address.ip().to_canonical()).collect::<Vec<_>>());
        self.lock().policy.learn(name, found.as_deref().unwrap_or_default());
        found
    }

    /// Says on the guest's standard error what would have to be permitted.
    fn refuse(&self, what: &str) {
        self.say(policy::refusal(what));
    }

    /// Says a line on the guest's standard error, once.
    pub(crate) fn say(&self, line: String) {
        if self.lock().said != line {
            // The guest gets its error in any case.
            let _ = stdio::write_all(Output::Stderr, line.as_bytes());
            self.lock().said = line;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds the guest's sockets to this policy.
    pub(crate) fn apply(&self, wasi: &mut WasiCtxBuilder) {
        wasi.allow_tcp(self.granted).allow_udp(self.anything).allow_ip_name_lookup(self.granted);
        let net = self.clone();
        wasi.socket_addr_check(move |address, usage| {
            let net = net.clone();
            Box::pin(async move {
                match usage {
                    SocketAddrUse::TcpConnect => net.permit(address).await,
                    // A source address is the guest's to choose, a port to be found at is not.
                    SocketAddrUse::TcpBind => address.port() == 0,
                    SocketAddrUse::UdpBind => net.anything && address.port() == 0,
                    SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => net.anything,
                    SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
                }
            })
        });
    }
}

#[cfg(test)]
mod tests {
    use engine::Destination;

    use super::*;
    use crate::stdio::scope;

    /// Takes what is said.
    #[derive(Default)]
    struct Said(Vec<u8>);

    impl engine::Stdio for Said {
        fn write(&mut self, _: Output, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
            slices.iter().for_each(|slice| self.0.extend_from_slice(slice));
            Ok(slices.iter().map(|slice| slice.len()).sum())
        }

        fn read(&mut self, _: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
            Ok(0)
        }

        fn random(&mut self, _: &mut [u8]) -> io::Result<()> {
            Ok(())
        }
    }

    fn listed(list: &[(&str, u16)]) -> Network {
        let list = list.iter().map(|(host, port)| Destination { host: (*host).to_owned(), port: *port });
        Network { listeners: Vec::new(), connect: Connect::Listed(list.collect()) }
    }

    /// Asks, and gives back what was said too.
    fn ask<T>(network: Option<&Network>, question: impl AsyncFnOnce(Net) -> T) -> (T, String) {
        let net = Net::new(network);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut said = Said::default();
        let answer = scope(&mut said, || runtime.block_on(question(net)));
        (answer, String::from_utf8(said.0).unwrap())
    }

    #[test]
    fn what_is_listed_is_permitted_and_the_rest_is_named_once() {
        let network = listed(&[("127.0.0.1", 80)]);
        let to = |address: &str| address.parse::<SocketAddr>().unwrap();
        let (answers, said) = ask(Some(&network), async |net| {
            [
                net.permit(to("127.0.0.1:80")).await,
                net.permit(to("[::1]:81")).await,
                net.permit(to("[::1]:81")).await,
            ]
        });
        assert_eq!(answers, [true, false, false]);
        assert_eq!(
            said,
            "hero_runner: this session may not connect to [::1]:81; permissions.net has to list it\n"
        );
    }

    #[test]
    fn only_listed_names_are_looked_up() {
        let (found, said) = ask(Some(&listed(&[("localhost", 0)])), async |net| {
            (net.resolve("localhost").await, net.resolve("other.invalid").await.map_err(|error| error.kind()))
        });
        assert_eq!(found.0.unwrap().len(), 2);
        assert_eq!(found.1, Err(io::ErrorKind::PermissionDenied));
        assert_eq!(
            said,
            "hero_runner: this session may not look up other.invalid; permissions.net has to list it\n"
        );
    }

    #[test]
    fn without_a_network_there_is_none() {
        let (granted, said) = ask(None, async |net| net.is_granted());
        assert!(!granted);
        assert_eq!(
            said,
            "hero_runner: this session may not use the network; permissions.net has to list it\n"
        );
    }
}
