//! Schedules: calls of services every so many seconds, or as cron says.
//!
//! When a call is due is decided by a pure machine in `rhythm`, over the civil calendar in `calendar`; what becomes of
//! it when another one is under way, in `table`. What is here moves clocks, sockets and the database around them: one
//! task that sleeps until the next schedule is due, one task for each call, and one for the database.

mod calendar;
mod call;
mod check;
mod keep;
mod rhythm;
mod table;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::error::{Error, ErrorCode};
use api::schedule::{Schedule, ScheduleInfo, ScheduleList, ScheduleQuery, ScheduleRun};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use check::{check, ids};

use keep::Keeper;
use rhythm::Now;
use table::{Start, Table};

/// The result of every call; the error is a row of the public table with a message.
type Result<T, E = Error> = std::result::Result<T, E>;

/// How long calls that are under way may go on when the server stops.
const GRACE: Duration = Duration::from_secs(1);

/// How long the last calls may take to get into the database when the server stops.
const FLUSH: Duration = Duration::from_secs(5);

/// The longest sleep: timers have an end, and schedules may not.
const SLEEP: Duration = Duration::from_secs(24 * 3600);

/// The schedules of all services. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Schedules {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gateway: PathBuf,
    /// Held for moments, by nobody who waits.
    table: Mutex<Table>,
    /// The table changed in a way that may bring the next call forward.
    changed: Notify,
    /// Whether what is known from before was read.
    ready: watch::Sender<bool>,
    keeper: Keeper,
    calls: TaskTracker,
    cut: CancellationToken,
    began: Instant,
}

/// What the wall clock shows, in milliseconds since the Unix epoch.
fn wall() -> i64 {
    let millis = |age: Duration| i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(age) => millis(age),
        Err(before) => -millis(before.duration()),
    }
}

impl Schedules {
    /// Begins with what the store knows from before. `gateway` is the gateway's Unix socket; calls go there as HTTP/1.1
    /// to `/<prefix><endpoint>`. Nothing is called until a service is [`set`](Self::set).
    ///
    /// # Panics
    /// Outside of a tokio runtime with time and I/O.
    #[must_use]
    pub fn new(store: store::schedules::Schedules, gateway: PathBuf) -> Self {
        let shared = Arc::new(Shared {
            gateway,
            table: Mutex::default(),
            changed: Notify::new(),
            ready: watch::Sender::new(false),
            keeper: Keeper::new(store),
            calls: TaskTracker::new(),
            cut: CancellationToken::new(),
            began: Instant::now(),
        });
        tokio::spawn(Arc::clone(&shared).keep_time());
        Self { shared }
    }

    /// The schedules of a service from now on, and its prefix. Those that did not change keep their place in time and
    /// their counters; others begin anew: an interval's first call is one interval from now. One that cannot be called
    /// or has no times, which [`check`] would have refused, is left out.
    pub fn set(&self, service: &str, prefix: &str, schedules: &[Schedule]) {
        let declared = table::read(service, prefix, schedules, self.shared.now());
        if !declared.is_empty() {
            self.shared.keeper.declare(declared.iter().map(|(id, _)| id.clone()).collect());
        }
        self.shared.table().set(service, declared);
        self.shared.changed.notify_one();
    }

    /// Forgets a service. A call that is under way goes on to its end.
    pub fn remove(&self, service: &str) {
        self.shared.table().remove(service);
        self.shared.changed.notify_one();
    }

    /// Says whether a service is called; it is until this says otherwise. The schedules of one that is stopped stay
    /// listed, without `next_at`; what was due meanwhile is not made up for.
    pub fn active(&self, service: &str, active: bool) {
        let now = self.shared.now();
        self.shared.table().active(service, active, now);
        self.shared.changed.notify_one();
    }

    /// The schedules by id, and their last calls if some were asked for.
    ///
    /// # Errors
    /// `internal`, `resource_exhausted` or `unavailable` when last calls were asked for and the database fails.
    pub async fn list(&self, query: ScheduleQuery) -> Result<ScheduleList> {
        self.shared.ready().await;
        let now = self.shared.now();
        let schedules = self.shared.table().list(query.service.as_deref(), now);
        let each = query.history.unwrap_or(0).min(store::schedules::RUNS);
        let history = if each == 0 {
            std::collections::BTreeMap::new()
        } else {
            let ids: Vec<String> = schedules.iter().map(|schedule| schedule.id.clone()).collect();
            self.shared.keeper.ask(move |store| store.runs(&ids, each)).await?
        };
        Ok(ScheduleList { schedules, history })
    }

    /// Pauses a schedule, until it is resumed, also over restarts of the server. A call that is under way goes on to
    /// its end. If the database fails, it is paused all the same, until the server ends.
    ///
    /// # Errors
    /// `schedule_not_found`.
    pub async fn pause(&self, id: &str) -> Result<ScheduleInfo> {
        self.set_paused(id, true).await
    }

    /// Resumes a schedule that was paused; one that was not stays as it is. What was due meanwhile is not made up for,
    /// and an interval keeps to its grid.
    ///
    /// # Errors
    /// `schedule_not_found`.
    pub async fn resume(&self, id: &str) -> Result<ScheduleInfo> {
        self.set_paused(id, false).await
    }

    async fn set_paused(&self, id: &str, paused: bool) -> Result<ScheduleInfo> {
        self.shared.ready().await;
        let now = self.shared.now();
        self.shared.table().pause(id, paused, now)?;
        self.shared.changed.notify_one();
        let key = id.to_owned();
        self.shared.keeper.try_ask(move |store| store.pause(&key, paused)).await;
        let now = self.shared.now();
        self.shared.table().get(id, now)
    }

    /// Calls a schedule now, also one that is paused, and answers when the call has ended. With `queue` it waits for a
    /// call that is under way; several that are asked for meanwhile are one.
    ///
    /// # Errors
    /// `schedule_not_found`; `invalid_state` when a call is under way and the schedule's overlap is `skip`, when the
    /// service is stopped, or when the schedule was taken away before its turn; `draining` when the server stops.
    pub async fn run_now(&self, id: &str) -> Result<ScheduleRun> {
        self.shared.ready().await;
        let (reply, answer) = oneshot::channel();
        {
            let mut table = self.shared.table();
            if let Some(start) = table.ask(id, reply)? {
                self.shared.start(start);
            }
        }
        if let Ok(run) = answer.await {
            return Ok(run);
        }
        Err(if self.shared.table().closed() {
            Error::new(ErrorCode::Draining, "the server is stopping")
        } else {
            let why = "was taken away, or its service stopped, before its turn";
            Error::new(ErrorCode::InvalidState, format!("the schedule {id} {why}"))
        })
    }

    /// Makes no more calls. Those that are under way are dropped after a second; what there is to record is recorded.
    pub async fn stop(&self) {
        let shared = &self.shared;
        shared.table().close();
        shared.changed.notify_one();
        shared.calls.close();
        if tokio::time::timeout(GRACE, shared.calls.wait()).await.is_err() {
            shared.cut.cancel();
            shared.calls.wait().await;
        }
        let _ = tokio::time::timeout(FLUSH, shared.keeper.ask(|_| Ok(()))).await;
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        let steady = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { steady, wall: wall() }
    }

    /// Returns when it is known what was paused.
    async fn ready(&self) {
        // It fails when the sender is gone, and that is in `self`.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Sleeps and calls. Ends when the table is closed.
    async fn keep_time(self: Arc<Self>) {
        let known = self.keeper.try_ask(store::schedules::Schedules::known).await;
        self.table().know(known);
        self.ready.send_replace(true);
        loop {
            let wake = {
                let mut table = self.table();
                if table.closed() {
                    return;
                }
                let (starts, wake) = table.tick(self.now());
                // While the table is held, so that whoever closes it finds all calls among those to wait for.
                starts.into_iter().for_each(|start| self.start(start));
                wake
            };
            let longest = Instant::now() + SLEEP;
            let until =
                self.began.checked_add(Duration::from_millis(wake)).map_or(longest, |at| at.min(longest));
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Makes a call in a task of its own, and then the one that came to wait for it.
    fn start(self: &Arc<Self>, start: Start) {
        let shared = Arc::clone(self);
        self.calls.spawn(async move {
            let mut next = Some(start);
            while let Some(start) = next {
                let run = start.call.make(&shared.gateway, start.manual, &shared.cut).await;
                shared.keeper.record(&start.id, &run);
                next = shared.table().ended(&start.id, run.clone());
                for reply in start.replies {
                    // Who asked may be gone.
                    let _ = reply.send(run.clone());
                }
            }
        });
    }
}
