//! A service as all parts of this crate see it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::error::Error;
use api::service::{self, Probe, ServiceDetail, ServiceEnd, ServiceInfo, ServiceKind, ServiceState};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::declaration::Declaration;
use crate::instance::{Instance, Report};

/// Probes and ends that are kept of a service.
const KEPT: usize = 60;

/// Requests that a handler may answer at once, if its declaration does not say.
const AT_ONCE: u32 = 64;

/// Locks, also after a panic elsewhere: what these locks guard is valid between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a service's task is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody wants something.
    Ordered(Order),
    /// A process of this number says something.
    Told(u64, Report),
}

/// What somebody wants of a service.
#[derive(Debug)]
pub(crate) enum Order {
    /// To run.
    Start(Reply),
    /// Not to run.
    Stop(Reply),
    /// New processes, of this declaration if there is one; also whether it is to run if it does not.
    Replace(Option<Arc<Declaration>>, Reply),
    /// A request waits, and it is idle.
    Wake,
    /// To be gone.
    Remove(Reply),
}

pub(crate) type Reply = oneshot::Sender<Result<(), Error>>;

/// What changes.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) declaration: Arc<Declaration>,
    /// The same with its fallback, once that has taken over.
    pub(crate) standby: Option<Arc<Declaration>>,
    pub(crate) state: ServiceState,
    pub(crate) reason: Option<String>,
    pub(crate) next_try_at: Option<u64>,
    pub(crate) instances: Vec<Arc<Instance>>,
    pub(crate) address: Option<String>,
    /// The content of the module that ran last.
    pub(crate) digest: Option<String>,
    pub(crate) restarts: u64,
    pub(crate) ready_since: Option<u64>,
    pub(crate) probes: VecDeque<Probe>,
    pub(crate) ends: VecDeque<ServiceEnd>,
    /// When the last request came or ended.
    pub(crate) used: Instant,
}

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) view: Mutex<View>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    /// Changes with every state.
    pub(crate) changed: watch::Sender<()>,
    /// Changes with the state of any service.
    any: watch::Sender<()>,
    /// Requests through the gateway so far.
    pub(crate) requests: AtomicU64,
    /// Requests that a handler may still begin.
    permits: Mutex<(usize, Arc<Semaphore>)>,
}

fn at_once(declaration: &Declaration) -> usize {
    declaration.spec.instances.unwrap_or(AT_ONCE) as usize
}

impl Service {
    pub(crate) fn new(
        declaration: Declaration,
        events: mpsc::UnboundedSender<Event>,
        any: watch::Sender<()>,
    ) -> Self {
        let at_once = at_once(&declaration);
        Self {
            name: declaration.name.clone(),
            view: Mutex::new(View {
                declaration: Arc::new(declaration),
                standby: None,
                state: ServiceState::Stopped,
                reason: None,
                next_try_at: None,
                instances: Vec::new(),
                address: None,
                digest: None,
                restarts: 0,
                ready_since: None,
                probes: VecDeque::new(),
                ends: VecDeque::new(),
                used: Instant::now(),
            }),
            events,
            changed: watch::Sender::new(()),
            any,
            requests: AtomicU64::new(0),
            permits: Mutex::new((at_once, Arc::new(Semaphore::new(at_once)))),
        }
    }

    /// What a handler's request needs to begin. Requests that have begun under another number do not count.
    pub(crate) fn permits(&self) -> Arc<Semaphore> {
        let wanted = at_once(&self.declaration());
        let mut permits = lock(&self.permits);
        if permits.0 != wanted {
            *permits = (wanted, Arc::new(Semaphore::new(wanted)));
        }
        Arc::clone(&permits.1)
    }

    /// What it was declared as.
    pub(crate) fn declared(&self) -> Arc<Declaration> {
        Arc::clone(&lock(&self.view).declaration)
    }

    /// What it runs by: what it was declared as, or that with its fallback.
    pub(crate) fn declaration(&self) -> Arc<Declaration> {
        lock(&self.view).running()
    }

    pub(crate) fn state(&self) -> ServiceState {
        lock(&self.view).state
    }

    /// Tells the state. Nobody is woken for what was known.
    pub(crate) fn set(&self, state: ServiceState, reason: Option<String>) {
        {
            let view = lock(&self.view);
            if view.state == state && view.reason == reason && view.next_try_at.is_none() {
                return;
            }
        }
        let why = reason.as_deref().unwrap_or_default();
        tracing::info!(service = self.name, state = state.name(), why, "service");
        self.change(|view| {
            if state == ServiceState::Ready {
                view.ready_since.get_or_insert_with(crate::probe::now_ms);
            } else if state != ServiceState::Unhealthy {
                view.ready_since = None;
            }
            (view.state, view.reason) = (state, reason);
            view.next_try_at = None;
        });
    }

    pub(crate) fn change<T>(&self, body: impl FnOnce(&mut View) -> T) -> T {
        let result = body(&mut lock(&self.view));
        self.changed.send_replace(());
        self.any.send_replace(());
        result
    }

    /// Tells the service's task; it is gone when the service is.
    pub(crate) async fn order(&self, order: impl FnOnce(Reply) -> Order) -> Result<(), Error> {
        let gone =
            || Error::new(api::ErrorCode::ServiceNotFound, format!("service {:?} was removed", self.name));
        let (reply, answer) = oneshot::channel();
        self.events.send(Event::Ordered(order(reply))).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Requests that are under way in all processes.
    pub(crate) fn under_way(&self) -> u64 {
        lock(&self.view).instances.iter().map(|instance| instance.requests.load(Relaxed)).sum()
    }

    pub(crate) fn info(&self, gateway: Option<&str>) -> ServiceInfo {
        let view = lock(&self.view);
        let declaration = view.running();
        let spec = &declaration.spec;
        let instance = |instance: &Arc<Instance>| {
            let info = instance.session.info();
            service::Instance {
                session_id: info.session_id,
                state: info.state,
                pid: info.child_pid,
                ready: instance.ready.load(Relaxed),
                requests: instance.requests.load(Relaxed),
            }
        };
        ServiceInfo {
            name: self.name.clone(),
            description: spec.description.clone(),
            prefix: spec.prefix.clone(),
            kind: spec.kind,
            state: view.state,
            reason: view.reason.clone(),
            next_try_at: view.next_try_at,
            url: gateway.map(|gateway| format!("{gateway}/{}/", spec.prefix)),
            address: view.address.clone(),
            module: declaration.module().to_owned(),
            version: declaration.version,
            instances: view.instances.iter().map(instance).collect(),
            restarts: view.restarts,
            ready_since: view.ready_since,
            last_probe: view.probes.back().cloned(),
            memory_limit_mb: spec.memory_limit_mb,
            requests: self.requests.load(Relaxed),
            schedules: spec.schedules.len() as u32,
        }
    }

    pub(crate) fn detail(&self, gateway: Option<&str>) -> ServiceDetail {
        let service = self.info(gateway);
        let view = lock(&self.view);
        ServiceDetail {
            service,
            file: view.declaration.file.display().to_string(),
            spec: view.declaration.spec.clone(),
            probes: view.probes.iter().cloned().collect(),
            ends: view.ends.iter().cloned().collect(),
        }
    }

    pub(crate) fn grace(&self, default: Duration) -> Duration {
        lock(&self.view).declaration.spec.grace_ms.map_or(default, Duration::from_millis)
    }
}

impl View {
    pub(crate) fn probed(&mut self, probe: Probe) {
        if self.probes.len() >= KEPT {
            self.probes.pop_front();
        }
        self.probes.push_back(probe);
    }

    pub(crate) fn ended(&mut self, session_id: &str, reason: String) {
        if self.ends.len() >= KEPT {
            self.ends.pop_front();
        }
        let at = crate::probe::now_ms();
        self.ends.push_back(ServiceEnd { session_id: session_id.to_owned(), at, reason });
    }

    /// Takes over what was `declared` anew; else it is what runs already.
    pub(crate) fn declare(&mut self, declaration: Arc<Declaration>, declared: bool) {
        if declared {
            (self.declaration, self.standby) = (declaration, None);
        }
    }

    pub(crate) fn running(&self) -> Arc<Declaration> {
        Arc::clone(self.standby.as_ref().unwrap_or(&self.declaration))
    }

    pub(crate) fn is_handler(&self) -> bool {
        self.declaration.spec.kind == ServiceKind::Handler
    }
}
