//! Connections to upstreams that wait for another request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Link;
use crate::target::Address;

/// The most that wait for one upstream.
const MAX_IDLE: usize = 512;
/// How long one waits.
const IDLE: Duration = Duration::from_secs(30);
/// How long one waits that has a process to itself.
const IDLE_PROCESS: Duration = Duration::from_secs(10);

/// A shelf for each upstream.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<HashMap<Address, Arc<Shelf>>>);

/// What waits for one upstream.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<Links>);

// Boxed, because it comes and goes with each request, and is large.
type Links = Vec<Box<Link>>;

impl Pool {
    /// The shelf for this upstream.
    pub(crate) fn shelf(&self, address: &Address) -> Arc<Shelf> {
        let mut shelves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match shelves.get(address) {
            Some(shelf) => shelf.clone(),
            None => shelves.entry(address.clone()).or_default().clone(),
        }
    }

    /// Closes what was closed at the other end or has waited long enough.
    pub(crate) fn sweep(&self) {
        let mut shelves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for shelf in shelves.values() {
            shelf.links().retain_mut(|link| {
                let idle = if link.peer.is_dialed() { IDLE_PROCESS } else { IDLE };
                now.duration_since(link.used) < idle && link.peer.is_wanted() && !link.is_over()
            });
        }
        shelves.retain(|_, shelf| Arc::strong_count(shelf) > 1 || !shelf.links().is_empty());
    }
}

impl Shelf {
    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was put here last, because it is the most likely to be open still.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        let mut links = self.links();
        std::iter::from_fn(|| links.pop()).find(|link| link.peer.is_wanted())
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, mut link: Box<Link>) {
        link.rest();
        let mut links = self.links();
        if links.len() < MAX_IDLE {
            links.push(link);
        }
    }
}
