//! One run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use scenario_report::Histogram;
use wasip2::clocks::monotonic_clock::now;

use crate::bindings::exports::hero::scenario::executor::Load;
use crate::bindings::hero::scenario::http_action::{Action, Completion, User, wait};

/// How long requests that are under way when the time is up may still take.
const GRACE: u64 = 2_000_000_000;
/// How long a user waits at least after a request that got no answer: a server that refuses is not to be stormed,
/// and the count of such failures would only say how fast we are.
const AFTER_FAILURE: u64 = 100_000_000;

/// One step of the workflow.
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) think_time: u64,
}

/// What was measured.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) successful: u64,
    pub(crate) failed: u64,
    pub(crate) unfinished: u64,
    pub(crate) bytes_received: u64,
    pub(crate) duration: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) latencies: Histogram,
}

/// A user and its next step.
struct Actor {
    user: User,
    step: usize,
}

/// The run of the users of one part.
pub(crate) struct Run<'a> {
    steps: &'a [Step],
    actors: Vec<Actor>,
    /// Which actor starts its next step when.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    under_way: u64,
    start: u64,
    end: u64,
    counts: Counts,
}

impl<'a> Run<'a> {
    pub(crate) fn new(steps: &'a [Step], load: &Load) -> Self {
        let mut actors = Vec::new();
        let mut due = BinaryHeap::new();
        let start = now();
        // Each part has users from the beginning of the ramp to its end.
        for number in (load.part..load.total_users).step_by(load.parts as usize) {
            let source = load.ip_pool.get(number as usize % load.ip_pool.len().max(1)).map(String::as_str);
            let share = u128::from(load.ramp_duration) * u128::from(number) / u128::from(load.total_users);
            due.push(Reverse((start.saturating_add(share as u64), actors.len())));
            actors.push(Actor { user: User::new(actors.len() as u32, source), step: 0 });
        }
        let end = if actors.is_empty() { start } else { start.saturating_add(load.test_duration) };
        Self { steps, actors, due, under_way: 0, start, end, counts: Counts::default() }
    }

    /// Runs until the time is up.
    pub(crate) fn finish(mut self) -> Counts {
        let last = self.end.saturating_add(GRACE);
        let mut now = now();
        loop {
            self.begin_due(now);
            if now >= self.end && self.under_way == 0 || now >= last {
                break;
            }
            let next = self.due.peek().map_or(self.end, |Reverse((at, _))| *at);
            let until = if now < self.end { next.min(self.end) } else { last };
            now = self.receive(until);
        }
        self.counts.unfinished = self.under_way;
        self.counts.duration = now.saturating_sub(self.start);
        self.counts
    }

    /// Starts the steps whose time has come. After the end none does.
    fn begin_due(&mut self, now: u64) {
        while let Some(&Reverse((at, actor))) = self.due.peek() {
            if at > now || now >= self.end {
                break;
            }
            self.due.pop();
            self.begin(actor);
        }
    }

    fn begin(&mut self, actor: usize) {
        let Actor { user, step } = &self.actors[actor];
        user.start(&self.steps[*step].action);
        self.under_way += 1;
    }

    /// Waits for answers, and lets their users go on. Returns what time it is.
    fn receive(&mut self, until: u64) -> u64 {
        let complete = wait(until);
        let now = now();
        for completion in complete {
            self.under_way -= 1;
            let index = completion.user as usize;
            let answered = self.count(completion);
            let Some(actor) = self.actors.get_mut(index) else { continue };
            let mut pause = self.steps[actor.step].think_time;
            actor.step = (actor.step + 1) % self.steps.len();
            if !answered {
                pause = pause.max(AFTER_FAILURE);
            }
            if now >= self.end {
                continue;
            }
            match pause {
                0 => self.begin(index),
                _ => self.due.push(Reverse((now.saturating_add(pause), index))),
            }
        }
        now
    }

    /// Counts a request; whether it got an answer.
    fn count(&mut self, completion: Completion) -> bool {
        let response = match completion.outcome {
            Ok(response) => response,
            Err(kind) => {
                self.fail(kind);
                return false;
            }
        };
        self.counts.latencies.record(completion.latency);
        self.counts.bytes_received += response.bytes;
        match response.status {
            ..400 => self.counts.successful += 1,
            status => self.fail(format!("status_{status}")),
        }
        true
    }

    fn fail(&mut self, kind: String) {
        self.counts.failed += 1;
        *self.counts.errors.entry(kind).or_default() += 1;
    }
}
