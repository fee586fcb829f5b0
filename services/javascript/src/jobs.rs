//! What is left to do when the script itself has ended: promises and timers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::thread;

use boa_engine::builtins::promise::{OperationType, Promise, PromiseState};
use boa_engine::context::HostHooks;
use boa_engine::context::time::JsInstant;
use boa_engine::job::{IntervalJob, Job, JobExecutor, SimpleJobExecutor, TimeoutJob};
use boa_engine::object::builtins::JsPromise;
use boa_engine::{Context, JsError, JsObject, JsResult};

/// Promises that were rejected and that nobody has handled.
#[derive(Default)]
pub struct Rejections(RefCell<Vec<JsObject<Promise>>>);

impl HostHooks for Rejections {
    fn promise_rejection_tracker(
        &self,
        promise: &JsObject<Promise>,
        operation: OperationType,
        _: &mut Context,
    ) {
        let mut open = self.0.borrow_mut();
        match operation {
            OperationType::Reject => open.push(promise.clone()),
            OperationType::Handle => open.retain(|other| !JsObject::equals(other, promise)),
        }
    }
}

impl Rejections {
    /// The first one as an error.
    fn check(&self) -> JsResult<()> {
        let Some(promise) = self.0.borrow().first().cloned() else { return Ok(()) };
        match JsPromise::from(promise).state() {
            PromiseState::Rejected(reason) => Err(JsError::from_opaque(reason)),
            _ => Ok(()),
        }
    }
}

enum Timer {
    Once(TimeoutJob),
    Again(IntervalJob),
}

/// Runs jobs in their order until none is left. The engine's own executor does everything but timers, for which it
/// would ask the clock again and again; this one sleeps.
pub struct Jobs {
    now: Rc<SimpleJobExecutor>,
    /// By the time at which they are due, then in the order in which they came.
    timers: RefCell<BTreeMap<(JsInstant, u64), Timer>>,
    came: Cell<u64>,
    rejections: Rc<Rejections>,
}

impl Jobs {
    /// No jobs yet.
    pub fn new(rejections: Rc<Rejections>) -> Self {
        Self {
            now: Rc::new(SimpleJobExecutor::new()),
            timers: RefCell::default(),
            came: Cell::new(0),
            rejections,
        }
    }

    fn add(&self, due: JsInstant, timer: Timer) {
        self.came.set(self.came.get() + 1);
        self.timers.borrow_mut().insert((due, self.came.get()), timer);
    }

    /// The timer that is due next, when it is.
    fn wait(&self, context: &Context) -> Option<Timer> {
        let ((due, _), timer) = self.timers.borrow_mut().pop_first()?;
        let cancelled = match &timer {
            Timer::Once(job) => job.cancelled(),
            Timer::Again(job) => job.cancelled(),
        };
        let now = context.clock().now();
        if !cancelled && due > now {
            thread::sleep((due - now).into());
        }
        Some(timer)
    }
}

impl JobExecutor for Jobs {
    fn enqueue_job(self: Rc<Self>, job: Job, context: &mut Context) {
        let now = context.clock().now();
        match job {
            Job::TimeoutJob(job) => self.add(now + job.timeout(), Timer::Once(job)),
            Job::IntervalJob(job) => self.add(now + job.interval(), Timer::Again(job)),
            other => Rc::clone(&self.now).enqueue_job(other, context),
        }
    }

    fn run_jobs(self: Rc<Self>, context: &mut Context) -> JsResult<()> {
        loop {
            Rc::clone(&self.now).run_jobs(context)?;
            self.rejections.check()?;
            match self.wait(context) {
                None => return Ok(()),
                Some(Timer::Once(job)) if !job.cancelled() => drop(job.call(context)?),
                Some(Timer::Again(job)) if !job.cancelled() => {
                    job.call(context)?;
                    self.add(context.clock().now() + job.interval(), Timer::Again(job));
                }
                Some(_) => {}
            }
        }
    }
}
