//! The way to the database: one thing after the other, on threads that may wait, and nobody waits for a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::error::{Error, ErrorCode};
use api::schedule::ScheduleRun;
use store::schedules::Schedules;
use tokio::sync::{mpsc, oneshot};

type Work = Box<dyn FnOnce(&Schedules) + Send>;

/// How much may wait for the database. Calls that end while it is that slow are not recorded.
const WAITING: usize = 4096;

/// How long somebody waits for the database.
const PATIENCE: Duration = Duration::from_secs(10);

/// The queue to the database.
#[derive(Debug)]
pub(super) struct Keeper {
    queue: mpsc::Sender<Work>,
    trouble: Arc<Trouble>,
}

/// Whether the database fails: that is said once, and again when it has worked in between.
#[derive(Debug, Default)]
struct Trouble(AtomicBool);

impl Trouble {
    fn note<T>(&self, result: Result<T, Error>) {
        match result {
            Ok(_) => self.0.store(false, Ordering::Relaxed),
            Err(error) => self.say(&error.message),
        }
    }

    fn say(&self, why: &str) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = why,
                "the database fails: calls and pauses of schedules are not kept; schedules go on"
            );
        }
    }
}

impl Keeper {
    /// Begins to work. Needs a runtime; ends when it is dropped.
    pub(super) fn new(store: Schedules) -> Self {
        let (queue, mut work) = mpsc::channel::<Work>(WAITING);
        let store = Arc::new(store);
        tokio::spawn(async move {
            while let Some(work) = work.recv().await {
                let store = Arc::clone(&store);
                // A panic is in the log already; whoever waits for an answer learns of it by its absence.
                let _ = tokio::task::spawn_blocking(move || work(&store)).await;
            }
        });
        Self { queue, trouble: Arc::default() }
    }

    fn write(&self, work: impl FnOnce(&Schedules) -> Result<(), Error> + Send + 'static) {
        let trouble = Arc::clone(&self.trouble);
        if self.queue.try_send(Box::new(move |store| trouble.note(work(store)))).is_err() {
            self.trouble.say("the database is too slow");
        }
    }

    /// Records a call, some time soon.
    pub(super) fn record(&self, id: &str, run: &ScheduleRun) {
        let (id, run) = (id.to_owned(), run.clone());
        self.write(move |store| store.record(&id, &run));
    }

    /// Notes which schedules are declared, some time soon.
    pub(super) fn declare(&self, ids: Vec<String>) {
        self.write(move |store| store.declare(&ids));
    }

    /// Asks the database, behind all that was written before.
    ///
    /// # Errors
    /// What the database says; `unavailable` when it says nothing for long, `internal` when its thread failed.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Schedules) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |store| drop(reply.send(work(store))));
        let failed = || Error::new(ErrorCode::Internal, "a thread of the server failed".to_owned());
        let asked = async {
            self.queue.send(work).await.map_err(|_| failed())?;
            answer.await.map_err(|_| failed())?
        };
        let late = |_| Error::new(ErrorCode::Unavailable, "the database does not answer");
        tokio::time::timeout(PATIENCE, asked).await.map_err(late)?
    }

    /// As [`Self::ask`], where there is a way to go on without an answer.
    pub(super) async fn try_ask<T: Send + Default + 'static>(
        &self,
        work: impl FnOnce(&Schedules) -> Result<T, Error> + Send + 'static,
    ) -> T {
        match self.ask(work).await {
            Ok(answer) => answer,
            Err(error) => {
                self.trouble.say(&error.message);
                T::default()
            }
        }
    }
}
