//! One user: the request under way, and the connections that are kept.

use std::rc::Rc;

use crate::action::Action;
use crate::answer::Answer;
use crate::bindings::exports::hero::scenario::http_action::Response;
use crate::bindings::hero::scenario::sockets::Fault;
use crate::link::{Link, Step};

/// How a request ended.
pub(crate) type Outcome = Result<Response, String>;

/// A user.
pub(crate) struct User {
    /// What the executor calls it.
    pub(crate) token: u32,
    source: Option<String>,
    /// At most one to each server.
    kept: Vec<Link>,
    pub(crate) job: Option<Job>,
}

/// The request under way.
pub(crate) struct Job {
    action: Rc<Action>,
    pub(crate) started: u64,
    /// When it has taken too long.
    pub(crate) deadline: u64,
    link: Link,
    answer: Answer,
    /// Which address, counted from the one that answered last; none on a connection that was kept.
    attempt: Option<usize>,
}

impl User {
    pub(crate) fn new(token: u32, source: Option<String>) -> Self {
        Self { token, source, kept: Vec::new(), job: None }
    }

    /// Starts a request; how it ended, if it did.
    pub(crate) fn start(&mut self, place: usize, action: Rc<Action>, now: u64) -> Option<Outcome> {
        let kept = self.kept.iter().position(|link| Rc::ptr_eq(&link.origin, &action.origin));
        let (link, attempt) = match kept {
            Some(index) => (self.kept.swap_remove(index), None),
            None => match self.connect(&action, 0, place) {
                Ok((link, attempt)) => (link, Some(attempt)),
                Err(kind) => return Some(Err(kind)),
            },
        };
        let deadline = now.saturating_add(action.timeout);
        let answer = Answer::new(action.head);
        let mut job = Job { action, started: now, deadline, link, answer, attempt };
        let sent = job.link.send(&job.action.bytes);
        self.job = Some(job);
        sent.err().and_then(|fault| self.recover(place, fault))
    }

    /// Connects to the first address from this attempt on that can be tried.
    fn connect(&self, action: &Action, first: usize, place: usize) -> Result<(Link, usize), String> {
        let mut last = "address_family".to_owned();
        for attempt in first.. {
            match Link::connect(&action.origin, attempt, place as u32, self.source.as_deref()) {
                Some(Ok(link)) => return Ok((link, attempt)),
                Some(Err(kind)) => last = kind,
                None => break,
            }
        }
        Err(last)
    }

    /// Goes on with the request; how it ended, if it did.
    pub(crate) fn step(&mut self, place: usize) -> Option<Outcome> {
        loop {
            let job = self.job.as_mut()?;
            let mut done = false;
            let answer = &mut job.answer;
            let step = job.link.step(|bytes| {
                done = answer.take(bytes)?;
                Ok(())
            });
            match step {
                Ok(Step::Pending) => return None,
                Ok(Step::More) if !done => {}
                Ok(Step::More) => return self.finish(true),
                Ok(Step::End) if job.answer.end() => return self.finish(false),
                Ok(Step::End) => {
                    let fault = Fault { kind: "connection_closed".to_owned(), connected: true };
                    return self.recover(place, fault);
                }
                Err(fault) => return self.recover(place, fault),
            }
        }
    }

    fn finish(&mut self, open: bool) -> Option<Outcome> {
        let job = self.job.take()?;
        if open && job.answer.reusable && job.action.keep_alive {
            self.kept.push(job.link);
        }
        Some(Ok(Response { status: job.answer.status, bytes: job.answer.bytes }))
    }

    /// Tries again where that makes sense: at another address while none has answered, and on a new connection where
    /// the server had closed the kept one before it saw the request.
    fn recover(&mut self, place: usize, fault: Fault) -> Option<Outcome> {
        let mut job = self.job.take()?;
        let next = match job.attempt {
            None if job.answer.bytes == 0 => 0,
            Some(attempt) if !fault.connected => attempt + 1,
            _ => return Some(Err(fault.kind)),
        };
        let Ok((link, attempt)) = self.connect(&job.action, next, place) else {
            return Some(Err(fault.kind));
        };
        (job.link, job.attempt) = (link, Some(attempt));
        let sent = job.link.send(&job.action.bytes);
        self.job = Some(job);
        // A new connection keeps what it is given; that it refuses is no reason for yet another one.
        sent.err().map(|fault| {
            self.job = None;
            Err(fault.kind)
        })
    }
}
