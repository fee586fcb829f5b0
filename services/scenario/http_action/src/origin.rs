//! Servers: where they are, and whom we believe that they are.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use scenario_url::Url;

use crate::bindings::hero::scenario::sockets;
use crate::tls::Trust;

thread_local! {
    /// All that were asked for: users keep one connection to each.
    static ORIGINS: RefCell<Vec<Rc<Origin>>> = RefCell::default();
}

/// A server.
pub(crate) struct Origin {
    secure: bool,
    host: String,
    port: u16,
    ca: Option<String>,
    /// With the port.
    addresses: Vec<String>,
    /// The address that answered last time.
    preferred: Cell<usize>,
    /// What a connection over TLS needs.
    pub(crate) trust: Option<Trust>,
}

impl Origin {
    /// The server of a URL.
    pub(crate) fn find(url: &Url, ca: Option<&str>, timeout: u64) -> Result<Rc<Self>, String> {
        // Of no use otherwise.
        let ca = ca.filter(|_| url.secure);
        let known = ORIGINS.with_borrow(|origins| {
            let same = |origin: &&Rc<Self>| {
                (origin.secure, origin.host.as_str(), origin.port, origin.ca.as_deref())
                    == (url.secure, url.host.as_str(), url.port, ca)
            };
            origins.iter().find(same).cloned()
        });
        if let Some(origin) = known {
            return Ok(origin);
        }
        let trust = url.secure.then(|| Trust::new(&url.host, ca)).transpose()?;
        let addresses = sockets::resolve(&url.host, timeout)
            .map_err(|kind| format!("the host {} has no address: {kind}", url.host))?;
        let with_port = |address: String| match address.contains(':') {
            true => format!("[{address}]:{}", url.port),
            false => format!("{address}:{}", url.port),
        };
        let origin = Rc::new(Self {
            secure: url.secure,
            host: url.host.clone(),
            port: url.port,
            ca: ca.map(str::to_owned),
            addresses: addresses.into_iter().map(with_port).collect(),
            preferred: Cell::new(0),
            trust,
        });
        ORIGINS.with_borrow_mut(|origins| origins.push(Rc::clone(&origin)));
        Ok(origin)
    }

    /// The address to try at this attempt, counted from 0, by who connects from `source`; with its place.
    pub(crate) fn address(&self, attempt: usize, source: Option<&str>) -> Option<(usize, &str)> {
        let fits =
            |address: &str| source.is_none_or(|source| source.contains(':') == address.starts_with('['));
        let count = self.addresses.len();
        let places = (0..count).map(|place| (place + self.preferred.get()) % count);
        let addresses = places.map(|place| (place, self.addresses[place].as_str()));
        addresses.filter(|(_, address)| fits(address)).nth(attempt)
    }

    /// Remembers the address that answered.
    pub(crate) fn prefer(&self, place: usize) {
        self.preferred.set(place);
    }
}
