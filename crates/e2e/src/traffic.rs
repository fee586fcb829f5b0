//! Clients that ask all the time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::door::Door;
use crate::http::Request;
use crate::patience::{eventually, patience};

/// Clients that ask all the time, each on a connection of its own for each request, until they are told to stop.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

/// Sends a GET, and says what is wrong with the answer unless it is a whole one with 200 and this text at its beginning.
///
/// # Errors
/// What is wrong.
pub fn ask(door: &Door, path: &str, begins: &str) -> Result<(), String> {
    let ask = || -> io::Result<(u16, Vec<u8>)> {
        let reply = Request { method: "GET", path, headers: &[], body: b"" }.send_to(door, patience())?;
        Ok((reply.status, reply.whole()?))
    };
    match ask() {
        Ok((200, body)) if body.starts_with(begins.as_bytes()) => Ok(()),
        Ok((status, body)) => Err(format!("{status}: {}", String::from_utf8_lossy(&body))),
        Err(error) => Err(error.to_string()),
    }
}

impl Traffic {
    /// Begins to ask for a path with so many clients; an answer is to begin with this text.
    #[must_use]
    pub fn start(clients: usize, door: &Door, path: &str, begins: &str) -> Self {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |_| {
            let (stop, good, door) = (Arc::clone(&stop), Arc::clone(&good), door.clone());
            let (path, begins) = (path.to_owned(), begins.to_owned());
            std::thread::spawn(move || {
                let mut bad = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match ask(&door, &path, &begins) {
                        Ok(()) => _ = good.fetch_add(1, Ordering::Relaxed),
                        Err(why) => bad.push(why),
                    }
                }
                bad
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { stop, good, clients }
    }

    /// Waits until so many more requests were answered well.
    ///
    /// # Panics
    /// When they are not.
    pub fn flows(&self, more: u64) {
        let wanted = self.good.load(Ordering::Relaxed) + more;
        eventually("requests are answered", || (self.good.load(Ordering::Relaxed) >= wanted).then_some(()));
    }

    /// Stops; what went wrong, and how many requests were answered well.
    ///
    /// # Panics
    /// When a client panicked.
    #[must_use]
    pub fn stop(self) -> (Vec<String>, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let bad = self.clients.into_iter().flat_map(|client| client.join().expect("a client does not panic"));
        (bad.collect(), self.good.load(Ordering::Relaxed))
    }
}
