//! All connections, and waiting for any of them.

use std::cell::RefCell;

use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::{Pollable, poll};

use crate::socket::Socket;

/// A host on tokio tells no more than 128 as ready at once (its tasks have a budget), and always the same ones first.
/// Beyond this number, those that it told step back until the others have had their turn.
const MANY: usize = 64;

thread_local! {
    static POLLER: RefCell<Poller> = RefCell::default();
}

#[derive(Default)]
struct Poller {
    sockets: Vec<Option<Socket>>,
    /// Places that are empty.
    free: Vec<usize>,
    /// An alarm that has not rung yet, and when it does.
    alarm: Option<(u64, Pollable)>,
    /// Whether more may be ready than the host told, and which round of all connections this is.
    passing: bool,
    round: u64,
}

/// Takes a connection in; the answer is its place.
pub(crate) fn add(socket: Socket) -> usize {
    POLLER.with_borrow_mut(|poller| match poller.free.pop() {
        Some(place) => {
            poller.sockets[place] = Some(socket);
            place
        }
        None => {
            poller.sockets.push(Some(socket));
            poller.sockets.len() - 1
        }
    })
}

/// Closes a connection.
pub(crate) fn remove(place: usize) {
    POLLER.with_borrow_mut(|poller| {
        poller.sockets[place] = None;
        poller.free.push(place);
    });
}

/// Works with a connection.
pub(crate) fn with<T>(place: usize, work: impl FnOnce(&mut Socket) -> T) -> T {
    POLLER.with_borrow_mut(|poller| match &mut poller.sockets[place] {
        Some(socket) => work(socket),
        None => unreachable!("a handle's connection lives as long as the handle"),
    })
}

/// Waits for those that are wanted, and returns their tokens.
pub(crate) fn wait(until: u64) -> Vec<u32> {
    POLLER.with_borrow_mut(|poller| poller.wait(until))
}

impl Poller {
    fn wait(&mut self, until: u64) -> Vec<u32> {
        if self.passing {
            let tokens = self.pass();
            if !tokens.is_empty() {
                return tokens;
            }
            // All have had their turn.
            self.passing = false;
            self.round += 1;
        }
        let (instant, alarm) = self.alarm(until);
        let waiting = Waiting::new(&self.sockets, &alarm, |_| true);
        let many = waiting.places.len() > MANY;
        let (ready, rang) = waiting.poll();
        if !rang {
            self.alarm = Some((instant, alarm));
        }
        let tokens = self.tokens(ready);
        self.passing = many && !tokens.is_empty();
        tokens
    }

    /// Those of the others that are ready now.
    fn pass(&mut self) -> Vec<u32> {
        let now = monotonic_clock::subscribe_duration(0);
        let (ready, _) = Waiting::new(&self.sockets, &now, |socket| socket.round != self.round).poll();
        self.tokens(ready)
    }

    /// The tokens at these places, each once, though it may have been waited for in two ways.
    fn tokens(&mut self, places: Vec<usize>) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(places.len());
        for place in places {
            let Some(Some(socket)) = self.sockets.get_mut(place) else { continue };
            if std::mem::take(&mut socket.wanted) {
                socket.round = self.round;
                tokens.push(socket.token);
            }
        }
        tokens
    }

    /// An alarm that rings at the instant, or before: one that was set is kept, for many waits end before theirs.
    fn alarm(&mut self, until: u64) -> (u64, Pollable) {
        match self.alarm.take() {
            Some(alarm) if alarm.0 <= until => alarm,
            _ => (until, monotonic_clock::subscribe_instant(until)),
        }
    }
}

/// What is waited for: first a clock, then connections.
struct Waiting<'a> {
    pollables: Vec<&'a Pollable>,
    /// The connection of each but the first.
    places: Vec<usize>,
}

impl<'a> Waiting<'a> {
    fn new(sockets: &'a [Option<Socket>], clock: &'a Pollable, which: impl Fn(&Socket) -> bool) -> Self {
        let mut waiting = Self { pollables: vec![clock], places: Vec::new() };
        for (place, socket) in sockets.iter().enumerate() {
            let Some(socket) = socket.as_ref().filter(|socket| socket.wanted && which(socket)) else {
                continue;
            };
            for pollable in socket.pollables() {
                waiting.pollables.push(pollable);
                waiting.places.push(place);
            }
        }
        waiting
    }

    /// The places that are ready, and whether the clock rang.
    fn poll(self) -> (Vec<usize>, bool) {
        let ready = poll(&self.pollables);
        let places = ready.iter().filter_map(|index| self.places.get((*index as usize).checked_sub(1)?));
        (places.copied().collect(), ready.contains(&0))
    }
}
