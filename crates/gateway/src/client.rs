//! What is known of one client's connection, and what all of them share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::counters::{Counters, add};
use crate::guard::Fault;
use crate::routes::Routes;
use crate::settings::Settings;
use crate::upstream::Pool;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) routes: Routes,
    pub(crate) pool: Arc<Pool>,
    pub(crate) counters: Arc<Counters>,
    /// No new requests on connections that are open.
    pub(crate) stop: CancellationToken,
    /// The end for what is still open.
    pub(crate) cut: CancellationToken,
}

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) core: Arc<Core>,
    /// None on the Unix socket.
    pub(crate) peer: Option<SocketAddr>,
    /// The peer as `X-Forwarded-For` has it.
    pub(crate) forwarded_for: Option<HeaderValue>,
    /// The peer as `Forwarded` has it (RFC 7239, section 6).
    pub(crate) node: String,
    /// The last `Host`, and what `Forwarded` says of it: nearly all requests of a connection have the same.
    forwarded: Mutex<Option<(HeaderValue, Option<HeaderValue>)>>,
    begun: Instant,
    /// When the last byte passed, in milliseconds since the connection began.
    last: AtomicU64,
    /// Requests without a complete answer.
    busy: AtomicU32,
    fault: Mutex<Option<Fault>>,
    _place: OwnedSemaphorePermit,
}

impl Client {
    pub(crate) fn new(core: Arc<Core>, peer: Option<SocketAddr>, place: OwnedSemaphorePermit) -> Arc<Self> {
        add(&core.counters.open);
        let address = peer.map(|peer| peer.ip().to_canonical());
        let node = match address {
            Some(address) if address.is_ipv6() => format!("\"[{address}]\""),
            Some(address) => address.to_string(),
            None => "unknown".to_owned(),
        };
        Arc::new(Self {
            core,
            peer,
            forwarded_for: address.and_then(|address| HeaderValue::try_from(address.to_string()).ok()),
            node,
            forwarded: Mutex::new(None),
            begun: Instant::now(),
            last: AtomicU64::new(0),
            busy: AtomicU32::new(0),
            fault: Mutex::new(None),
            _place: place,
        })
    }

    /// What `Forwarded` says of this connection and a `Host`, made if it is not the last one.
    pub(crate) fn forwarded(
        &self,
        host: &HeaderValue,
        make: impl FnOnce(&str, &HeaderValue) -> Option<HeaderValue>,
    ) -> Option<HeaderValue> {
        let mut last = self.forwarded.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, value)) if known == host => value.clone(),
            _ => last.insert((host.clone(), make(&self.node, host))).1.clone(),
        }
    }

    /// A byte passed in either direction.
    pub(crate) fn touch(&self) {
        // 64 bits of milliseconds are enough.
        self.last.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    pub(crate) fn last_byte(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    /// A request began; it is over when what comes back is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Notes why the guard let something not through.
    pub(crate) fn fault(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    pub(crate) fn take_fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.core.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is not over.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Client>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
