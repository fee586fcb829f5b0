//! Where a guest may connect to, whatever its engine's socket functions are.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use crate::network::{Connect, Destination};

/// The most addresses of one name that are remembered; the oldest go first.
const MAX_ADDRESSES: usize = 256;

/// Where a guest may connect to, and what its names stand for.
#[derive(Debug, Default)]
pub struct Policy {
    connect: Connect,
    /// Names that were looked up, and what for: nothing when there was no answer. Only names that are listed come here.
    known: Vec<(String, Vec<IpAddr>)>,
}

impl Policy {
    /// A policy by which nothing was looked up yet.
    #[must_use]
    pub fn new(connect: Connect) -> Self {
        Self { connect, known: Vec::new() }
    }

    /// Whether the guest may send there. A name that is listed counts by what it was resolved to; one that was not
    /// is resolved for this, because a guest may have asked a name server by itself.
    pub fn allows(&mut self, to: SocketAddr) -> bool {
        if self.known_to_allow(to) {
            return true;
        }
        let unknown = self.unknown(to.port());
        for name in &unknown {
            // What does not resolve allows nothing, and is not asked for again at each refusal: that would take seconds.
            let _ = self.resolve(name);
        }
        !unknown.is_empty() && self.known_to_allow(to)
    }

    /// Whether the guest may send there, by what is known now.
    #[must_use]
    pub fn known_to_allow(&self, to: SocketAddr) -> bool {
        let ip = to.ip().to_canonical();
        match &self.connect {
            Connect::Nothing => false,
            Connect::Anything => true,
            Connect::Listed(list) => list.iter().any(|destination| {
                let Destination { host, port } = destination;
                (*port == 0 || *port == to.port())
                    && match literal(host) {
                        Some(ips) => ips.contains(&ip),
                        None => self.addresses(host).is_some_and(|ips| ips.contains(&ip)),
                    }
            }),
        }
    }

    /// The names that are listed with this port and were never looked up.
    #[must_use]
    pub fn unknown(&self, port: u16) -> Vec<String> {
        let Connect::Listed(list) = &self.connect else { return Vec::new() };
        let unknown = |listed: &&Destination| {
            (listed.port == 0 || listed.port == port)
                && literal(&listed.host).is_none()
                && self.addresses(&listed.host).is_none()
        };
        list.iter().filter(unknown).map(|listed| listed.host.clone()).collect()
    }

    /// Whether the guest may know what a name stands for.
    #[must_use]
    pub fn may_resolve(&self, name: &str) -> bool {
        match &self.connect {
            Connect::Nothing => false,
            Connect::Anything => true,
            Connect::Listed(list) => list.iter().any(|listed| same(&listed.host, name)),
        }
    }

    /// What a name stands for, by the machine's own ways, and remembers that.
    ///
    /// # Errors
    /// Those of getaddrinfo(3).
    pub fn resolve(&mut self, name: &str) -> io::Result<Vec<IpAddr>> {
        let result = (name, 0).to_socket_addrs();
        let ips = result.map(|found| found.map(|address| address.ip()).collect::<Vec<_>>());
        self.learn(name, ips.as_deref().unwrap_or_default());
        ips
    }

    /// Remembers what somebody else has looked up; no addresses are the answer that there are none.
    pub fn learn(&mut self, name: &str, ips: &[IpAddr]) {
        if !matches!(self.connect, Connect::Listed(_)) {
            return;
        }
        let at = self.known.iter().position(|(known, _)| same(known, name)).unwrap_or_else(|| {
            self.known.push((name.to_owned(), Vec::new()));
            self.known.len() - 1
        });
        let known = &mut self.known[at].1;
        // What it stood for before counts on: a guest may hold an address for a while.
        for ip in ips.iter().map(IpAddr::to_canonical) {
            known.retain(|old| *old != ip);
            known.push(ip);
        }
        known.drain(..known.len().saturating_sub(MAX_ADDRESSES));
    }

    /// What a listed name was resolved to; `None` when it was never looked up.
    fn addresses(&self, name: &str) -> Option<&[IpAddr]> {
        self.known.iter().find(|(known, _)| same(known, name)).map(|(_, ips)| ips.as_slice())
    }

    /// A listed name that was resolved to this address.
    #[must_use]
    pub fn name_of(&self, ip: IpAddr) -> Option<&str> {
        let ip = ip.to_canonical();
        self.known.iter().find(|(_, ips)| ips.contains(&ip)).map(|(name, _)| name.as_str())
    }
}

/// What a name stands for that needs no resolving: an address, and `localhost`.
#[must_use]
pub fn literal(host: &str) -> Option<Vec<IpAddr>> {
    if same(host, "localhost") {
        return Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    host.parse::<IpAddr>().ok().map(|ip| vec![ip.to_canonical()])
}

/// How a place is named to somebody who has to permit it: by its listed name if it has one.
#[must_use]
pub fn shown(policy: &Policy, to: SocketAddr) -> String {
    let port = to.port();
    match (policy.name_of(to.ip()), to.ip().to_canonical()) {
        (Some(name), _) => format!("{name}:{port}"),
        (None, IpAddr::V4(ip)) => format!("{ip}:{port}"),
        (None, IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
    }
}

/// What is said on a guest's standard error when its session may not do something.
#[must_use]
pub fn refusal(what: &str) -> String {
    format!("hero_runner: this session may not {what}; permissions.net has to list it\n")
}

/// Whether two names are the same: capitals do not count, nor does a dot at the end.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(list: &[(&str, u16)]) -> Policy {
        let list = list.iter().map(|(host, port)| Destination { host: (*host).to_owned(), port: *port });
        Policy::new(Connect::Listed(list.collect()))
    }

    fn to(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn nothing_and_anything_are_what_they_say() {
        assert!(!Policy::new(Connect::Nothing).allows(to("127.0.0.1:80")));
        assert!(Policy::new(Connect::Anything).allows(to("192.0.2.1:80")));
        assert!(!Policy::new(Connect::Nothing).may_resolve("example.org"));
    }

    #[test]
    fn an_address_is_allowed_with_its_port() {
        let mut policy = listed(&[("192.0.2.1", 80), ("2001:db8::1", 0)]);
        assert!(policy.allows(to("192.0.2.1:80")));
        assert!(policy.allows(to("[::ffff:192.0.2.1]:80")));
        assert!(!policy.allows(to("192.0.2.1:81")));
        assert!(!policy.allows(to("192.0.2.2:80")));
        assert!(policy.allows(to("[2001:db8::1]:1")));
        assert!(policy.allows(to("[2001:db8::1]:65535")));
    }

    #[test]
    fn localhost_is_two_addresses_and_no_other() {
        let mut policy = listed(&[("LocalHost.", 80)]);
        assert!(policy.allows(to("127.0.0.1:80")));
        assert!(policy.allows(to("[::1]:80")));
        assert!(!policy.allows(to("127.0.0.2:80")));
        assert!(!policy.allows(to("0.0.0.0:80")));
    }

    #[test]
    fn a_name_allows_what_it_was_resolved_to_and_nothing_else() {
        let mut policy = listed(&[("Example.invalid", 443)]);
        policy.known.push(("example.INVALID".to_owned(), vec![IpAddr::from([192, 0, 2, 7])]));
        assert!(policy.may_resolve("example.invalid."));
        assert!(!policy.may_resolve("other.invalid"));
        assert!(policy.allows(to("192.0.2.7:443")));
        assert!(!policy.allows(to("192.0.2.7:80")));
        assert!(!policy.allows(to("192.0.2.8:443")));
        assert_eq!(policy.name_of(IpAddr::from([192, 0, 2, 7])), Some("example.INVALID"));
    }
}
