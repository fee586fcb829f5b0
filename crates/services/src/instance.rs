//! One process of a listener: started, probed, drained.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use api::error::Error;
use api::service::Probe;
use api::session::{RunMode, SessionStart};
use supervisor::{SessionHandle, Supervisor, Wiring};
use tokio::sync::{Notify, mpsc};

use crate::declaration::Declaration;
use crate::probe::probe;
use crate::service::Event;
use crate::sockets::{Private, Public};

/// How long after a bad probe the next one comes while a process starts, at first and at most.
const SOON: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// What a process of a service says of itself.
#[derive(Debug)]
pub(crate) enum Report {
    /// It answered its first probe well.
    Ready,
    /// It was probed.
    Probed(Probe),
    /// It answers badly, or not at all; why.
    Unhealthy(String),
    /// Its session has ended.
    Ended(api::Outcome),
}

/// One process of a listener.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) no: u64,
    pub(crate) declaration: Arc<Declaration>,
    pub(crate) session: SessionHandle,
    pub(crate) private: Private,
    pub(crate) began: Instant,
    pub(crate) ready: AtomicBool,
    /// Requests through the gateway that are under way.
    pub(crate) requests: AtomicU64,
    /// Wakes who waits for none.
    idle: Notify,
}

impl Instance {
    /// Starts a process with this public socket and one of its own; what it says comes as events with its number.
    ///
    /// # Errors
    /// When the session cannot be started or there is no descriptor left.
    pub(crate) async fn start(
        supervisor: &Supervisor,
        declaration: &Arc<Declaration>,
        public: &Public,
        (dir, no): (&std::path::Path, u64),
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Arc<Self>, Error> {
        let failed = |error: std::io::Error| Error::new(api::ErrorCode::ResourceExhausted, error.to_string());
        // Short: an address has room for 107 bytes.
        let (private, own) = Private::open(dir, &format!("{no}.sock")).map_err(failed)?;
        let port = public.address.port();
        let wiring = Wiring {
            listeners: vec![(port, vec![Arc::clone(&public.socket), own])],
            resident: true,
            ..Wiring::default()
        };
        let mut request = request(declaration);
        request.env_vars.entry("PORT".to_owned()).or_insert_with(|| port.to_string());
        // No limit of time.
        request.timeout_ms = Some(0);
        request.ready.clone_from(&declaration.spec.ready);
        let session = supervisor.session_start_wired(request, wiring).await?;
        let instance = Arc::new(Self {
            no,
            declaration: Arc::clone(declaration),
            session,
            private,
            began: Instant::now(),
            ready: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            idle: Notify::new(),
        });
        tokio::spawn(Arc::clone(&instance).watch(events));
        Ok(instance)
    }

    /// Whether it runs interpreted.
    pub(crate) fn is_interpreted(&self) -> bool {
        self.session.info().mode == Some(RunMode::Interpreted)
    }

    /// Probes it until it ends.
    async fn watch(self: Arc<Self>, events: mpsc::UnboundedSender<Event>) {
        let tell = |report| _ = events.send(Event::Told(self.no, report));
        let probing = async {
            let spec = &self.declaration.spec.health;
            let timeout = Duration::from_millis(spec.timeout_ms);
            let look = || probe(&self.private.path, &spec.path, timeout);
            let start_period = Duration::from_secs(spec.start_period_secs);
            let (mut soon, mut last) = (SOON.0, None);
            let first = tokio::time::timeout(start_period, async {
                if self.declaration.spec.ready.is_some() {
                    last = Some("it has not said that it is ready".to_owned());
                    self.session.ready().await;
                }
                loop {
                    let found = look().await;
                    let ok = found.ok;
                    last.clone_from(&found.error);
                    tell(Report::Probed(found));
                    if ok {
                        return;
                    }
                    tokio::time::sleep(soon).await;
                    soon = (soon * 2).min(SOON.1);
                }
            });
            if first.await.is_err() {
                let last = last.unwrap_or_else(|| "it has not answered yet".to_owned());
                tell(Report::Unhealthy(format!("not ready after {} s: {last}", spec.start_period_secs)));
                return std::future::pending().await;
            }
            tell(Report::Ready);
            let mut bad = 0;
            loop {
                tokio::time::sleep(Duration::from_secs(spec.interval_secs)).await;
                let found = look().await;
                bad = if found.ok { 0 } else { bad + 1 };
                let why = found.error.clone().unwrap_or_default();
                tell(Report::Probed(found));
                if bad >= spec.failures {
                    tell(Report::Unhealthy(format!("{bad} bad probes in a row: {why}")));
                    return std::future::pending().await;
                }
            }
        };
        let outcome = tokio::select! {
            outcome = self.session.ended() => outcome,
            () = probing => return,
        };
        tell(Report::Ended(outcome));
    }

    /// Waits until no request is under way, up to the grace; then SIGTERM, and SIGKILL after the grace again. Returns when
    /// the process has ended.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.ready.store(false, Relaxed);
        let drained = async {
            loop {
                let idle = self.idle.notified();
                if self.requests.load(Relaxed) == 0 {
                    return;
                }
                idle.await;
            }
        };
        let _ = tokio::time::timeout(grace, drained).await;
        self.session.stop(grace);
        self.session.ended().await;
    }
}

/// The part of a session's request that listeners and handlers have in common.
pub(crate) fn request(declaration: &Declaration) -> SessionStart {
    let spec = &declaration.spec;
    SessionStart {
        module: Some(declaration.module().to_owned()),
        args: spec.args.clone(),
        env_vars: spec.env.clone(),
        dirs: spec.dirs.clone(),
        memory_limit_mb: spec.memory_limit_mb,
        output_limit_bytes: spec.limits.output_bytes,
        engine: spec.runtime,
        permissions: spec.permissions.clone(),
        labels: [("service".to_owned(), declaration.name.clone())].into(),
        ..SessionStart::default()
    }
}

/// A request that an instance has.
#[derive(Debug)]
pub(crate) struct Under(Arc<Instance>);

impl Under {
    pub(crate) fn way(instance: &Arc<Instance>) -> Self {
        instance.requests.fetch_add(1, Relaxed);
        Self(Arc::clone(instance))
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Relaxed) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
