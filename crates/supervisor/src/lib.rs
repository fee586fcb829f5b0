//! The supervisor: the pool of workers, the sessions and their logs.
//!
//! It runs no guest code, parses nothing of a guest's but capped frames, and knows no engine: it tells a zygote
//! to fork ([`zygote`]), hands sessions to the workers ([`pool`] decides which), reads what they write, and keeps
//! it ([`logs`]; `store` has the disk). It never waits for a client, a guest or a disk while it holds a lock.

mod calls;
mod cgroup;
mod compile;
mod config;
mod core;
mod driver;
mod ended;
mod engines;
mod exec;
pub mod lines;
pub mod logs;
mod outcome;
pub mod pool;
mod proc;
mod read;
mod ready;
mod repeat;
mod ring;
mod run;
mod samples;
mod session;
mod slot;
mod stdin;
mod stem;
mod tally;
mod templates;
pub mod zygote;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use api::Outcome;
use api::error::{Error, ErrorCode};
use sha2::{Digest, Sha256};
use store::Database;
use store::history::{History, Record};
use store::modules::Modules;
use tokio::sync::Notify;

pub use calls::{ModuleUpload, Serving, SessionHandle, Wiring};
pub use config::{Config, Ended, Forward};
use zygote::ZygoteProcess;

use crate::core::{Core, Counters, Shared};
use crate::outcome::Cause;
use crate::pool::{Event, Pool};
use crate::session::lock;

/// The result of every call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The running core. Cloning it is cheap; all clones are one supervisor.
#[derive(Debug, Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

impl Supervisor {
    /// Waits until the zygote is warm, opens modules and history, and begins to serve. Sessions that the last
    /// server left unfinished become `interrupted`.
    ///
    /// # Errors
    /// When the zygote does not become warm, or the state folder cannot be used.
    pub async fn start(config: Config, zygote: ZygoteProcess) -> Result<Self> {
        let zygote =
            zygote.warm().await.map_err(|error| Error::new(ErrorCode::Unavailable, error.to_string()))?;
        let database = Arc::new(Database::open(&config.state_dir)?);
        let (history, opened) = History::open(&database, config.history)?;
        let settings = store::modules::Settings {
            max_bytes: config.module_max_bytes,
            wasmtime_tag: format!("{}-{}", engines::tag(config.zygote_wasmtime.as_deref()), cpu_tag()),
            ..store::modules::Settings::new(format!("{}-{}", zygote.engine, cpu_tag()))
        };
        let modules = Modules::open(&database, settings)?;
        let declared_store = store::templates::Templates::open(&database)?;
        register_dir(&config, &modules)?;
        let interrupted = !opened.unfinished.is_empty();
        for record in opened.unfinished {
            interrupt(&history, record)?;
        }
        let (compile, lanes) = compile::CompileQueue::new(config.compile, config.zygote_wasmtime.is_some());
        let pool = Pool::new(config.pool);
        let shared = Arc::new(Shared {
            config,
            core: Mutex::new(Core::new(pool, opened.max_no + 1)),
            history,
            modules,
            declared_store,
            weigh: Notify::new(),
            by_path: calls::ByPath::default(),
            compile,
            cgroups: cgroup::Cgroups::find(),
            counters: Counters::default(),
            started: Instant::now(),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            samples: Mutex::default(),
            idle: Notify::new(),
            gone: Notify::new(),
        });
        if interrupted {
            // Nobody is to see them run any more.
            shared.flush_history().await;
        }
        for lane in lanes {
            tokio::spawn(compile::run(Arc::downgrade(&shared), lane));
        }
        shared.declare_all()?;
        tokio::spawn(templates::watch(Arc::downgrade(&shared)));
        tokio::spawn(samples::run(Arc::downgrade(&shared)));
        tokio::spawn(driver::run(Arc::downgrade(&shared), core::ROOT, Some(zygote)));
        shared.prepare_components();
        Ok(Self { shared })
    }

    /// Accepts nothing new, waits up to `grace` for sessions to end, stops the rest, and writes out the history.
    pub async fn drain(&self, grace: Duration) {
        let shared = &self.shared;
        shared.draining.store(true, Relaxed);
        shared.end_pauses();
        if tokio::time::timeout(grace, self.all_ended()).await.is_err() {
            self.stop_all();
            // A kill cannot be refused; this bounds the wait all the same.
            let _ = tokio::time::timeout(Duration::from_secs(10), self.all_ended()).await;
        }
        for stem in lock(&shared.core).stems.values() {
            if let Some((zygote, _)) = &stem.zygote {
                zygote.end();
            }
        }
        // One that does not leave is killed when its task ends with the runtime.
        let _ = tokio::time::timeout(Duration::from_secs(5), shared.gone.notified()).await;
        shared.flush_history().await;
    }

    /// Looks into the services folder again and registers what is new or has changed there.
    ///
    /// # Errors
    /// When the folder or the database cannot be read.
    pub async fn read_services_dir(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        read::blocking(move || {
            register_dir(&shared.config, &shared.modules)?;
            lock(&shared.core).files.clear();
            shared.refresh_all();
            Ok(())
        })
        .await?;
        self.shared.prepare_components();
        Ok(())
    }

    async fn all_ended(&self) {
        loop {
            let idle = self.shared.idle.notified();
            if lock(&self.shared.core).live == 0 {
                return;
            }
            idle.await;
        }
    }

    fn stop_all(&self) {
        let mut core = lock(&self.shared.core);
        let live: Vec<_> =
            core.sessions.values().filter(|session| !session.state().is_final()).cloned().collect();
        for session in live {
            if lock(&session.waiting).take().is_some() {
                self.shared.step_in(&mut core, session.stem.load(Relaxed), Event::Withdraw(session.no));
                self.shared.ended_in(&mut core, &session, Outcome::Cancelled);
            } else {
                session.request_kill(Cause::Stop, Duration::ZERO);
            }
        }
    }
}

/// Registers the modules of the services folder by their file names.
fn register_dir(config: &Config, modules: &Modules) -> Result<()> {
    let Some(folder) = config.services_dir.as_deref().filter(|folder| folder.is_dir()) else { return Ok(()) };
    for found in modules.register_dir(folder)? {
        if let Err(error) = found.outcome {
            tracing::warn!(%error, "a module of the services folder was left out");
        }
    }
    Ok(())
}

/// Marks a session of a server that died.
fn interrupt(history: &History, mut record: Record) -> Result<()> {
    let extent = history.log_extent(record.no)?;
    record.info.state = Outcome::Interrupted.state();
    record.info.outcome = Some(Outcome::Interrupted);
    record.info.child_pid = None;
    record.info.ready = false;
    record.info.log_next_seq = extent.next_seq;
    history.put(record);
    Ok(())
}

/// Names the CPU's abilities, which compiled code depends on: eight digits of a digest of its flags.
fn cpu_tag() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = text.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    let digest = Sha256::digest(flags.unwrap_or_default());
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
