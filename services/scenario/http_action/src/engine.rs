//! All users, and waiting for any of them.

use std::cell::RefCell;
use std::rc::Rc;

use wasip2::clocks::monotonic_clock::now;

use crate::action::Action;
use crate::bindings::exports::hero::scenario::http_action::Completion;
use crate::bindings::hero::scenario::sockets;
use crate::user::{Outcome, User};

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::default();
}

#[derive(Default)]
struct Engine {
    users: Vec<Option<User>>,
    /// Places that are empty.
    free: Vec<usize>,
    /// What nobody has been told yet.
    complete: Vec<Completion>,
    /// No request is late before this instant.
    earliest: Option<u64>,
}

/// Takes a user in; the answer is its place.
pub(crate) fn add(user: User) -> usize {
    ENGINE.with_borrow_mut(|engine| match engine.free.pop() {
        Some(place) => {
            engine.users[place] = Some(user);
            place
        }
        None => {
            engine.users.push(Some(user));
            engine.users.len() - 1
        }
    })
}

/// Lets a user go, with all connections.
pub(crate) fn remove(place: usize) {
    ENGINE.with_borrow_mut(|engine| {
        engine.users[place] = None;
        engine.free.push(place);
    });
}

/// Starts a request.
pub(crate) fn start(place: usize, action: Rc<Action>) {
    ENGINE.with_borrow_mut(|engine| {
        let now = now();
        let Some(user) = &mut engine.users[place] else { return };
        let outcome = user.start(place, action, now);
        if let Some(job) = &user.job {
            engine.earliest =
                Some(engine.earliest.map_or(job.deadline, |earliest| earliest.min(job.deadline)));
        }
        if let Some(outcome) = outcome {
            let user = user.token;
            engine.complete.push(Completion { user, outcome, latency: 0 });
        }
    });
}

/// Waits until requests are complete, but not longer than up to the instant.
pub(crate) fn wait(until: u64) -> Vec<Completion> {
    ENGINE.with_borrow_mut(|engine| engine.wait(until))
}

impl Engine {
    fn wait(&mut self, until: u64) -> Vec<Completion> {
        if self.complete.is_empty() {
            let until = self.earliest.map_or(until, |earliest| earliest.min(until));
            for place in sockets::wait(until) {
                self.step(place as usize);
            }
            self.expire();
        }
        std::mem::take(&mut self.complete)
    }

    fn step(&mut self, place: usize) {
        let Some(Some(user)) = self.users.get_mut(place) else { return };
        let Some(started) = user.job.as_ref().map(|job| job.started) else { return };
        if let Some(outcome) = user.step(place) {
            let user = user.token;
            self.tell(user, outcome, started);
        }
    }

    fn tell(&mut self, user: u32, outcome: Outcome, started: u64) {
        self.complete.push(Completion { user, outcome, latency: now().saturating_sub(started) });
    }

    /// Ends the requests that take too long.
    fn expire(&mut self) {
        if self.earliest.is_none_or(|earliest| now() < earliest) {
            return;
        }
        let now = now();
        self.earliest = None;
        for user in self.users.iter_mut().flatten() {
            let Some(job) = &user.job else { continue };
            if job.deadline <= now {
                let latency = now.saturating_sub(job.started);
                let user_token = user.token;
                // With its connection: the answer may still come.
                user.job = None;
                self.complete.push(Completion {
                    user: user_token,
                    outcome: Err("timeout".to_owned()),
                    latency,
                });
            } else {
                self.earliest =
                    Some(self.earliest.map_or(job.deadline, |earliest| earliest.min(job.deadline)));
            }
        }
    }
}
