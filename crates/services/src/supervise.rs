//! The life of one service: a task that is told what happens and what is wanted, and sees to it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use api::Outcome;
use api::error::{Error, ErrorCode};
use api::module::ArtifactState;
use api::service::ServiceState as State;
use futures_util::future::join_all;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use crate::Inner;
use crate::declaration::Declaration;
use crate::files;
use crate::instance::{Instance, Report};
use crate::restart::{Decision, Restarts};
use crate::service::{Event, Order, Service, lock};
use crate::sockets::Public;

/// How often to look whether a module that runs interpreted has been compiled.
const LOOK: Duration = Duration::from_secs(1);

/// Why the task woke.
enum Happened {
    Event(Option<Event>),
    /// It may be able to start now.
    Chance,
    Time,
}

/// The task of a service.
pub(crate) struct Life {
    pub(crate) inner: Arc<Inner>,
    pub(crate) service: Arc<Service>,
    pub(crate) events: UnboundedReceiver<Event>,
    /// Orders that came while processes were being replaced.
    pub(crate) deferred: VecDeque<Order>,
    /// Whether it is to run.
    pub(crate) wanted: bool,
    pub(crate) public: Option<Public>,
    pub(crate) restarts: Restarts,
    pub(crate) retry_at: Option<Instant>,
    /// Replacing what runs interpreted has failed before, or is of no use.
    pub(crate) settled: bool,
    /// Changes with the state of any service.
    others: watch::Receiver<()>,
}

impl Life {
    pub(crate) fn new(inner: Arc<Inner>, service: Arc<Service>, events: UnboundedReceiver<Event>) -> Self {
        let others = inner.changed.subscribe();
        Self {
            inner,
            service,
            events,
            deferred: VecDeque::new(),
            wanted: false,
            public: None,
            restarts: Restarts::default(),
            retry_at: None,
            settled: false,
            others,
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            if let Some(order) = self.deferred.pop_front() {
                if self.obey(order).await {
                    return;
                }
                continue;
            }
            let waiting = self.service.state() == State::Waiting;
            let idle = self.public.clone().filter(|_| self.service.state() == State::Idle);
            let wake = self.wake();
            let happened = tokio::select! {
                event = self.events.recv() => Happened::Event(event),
                _ = self.others.changed(), if waiting => Happened::Chance,
                () = connection(idle) => Happened::Chance,
                () = tokio::time::sleep_until(wake.into()) => Happened::Time,
            };
            match happened {
                Happened::Event(Some(Event::Ordered(order))) => self.deferred.push_back(order),
                Happened::Event(Some(Event::Told(no, report))) => self.told(no, report).await,
                Happened::Event(None) => return,
                Happened::Chance => self.begin().await,
                Happened::Time => self.tick().await,
            }
        }
    }

    /// Does what is wanted; true when nothing is left to do for ever.
    async fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Start(reply) => {
                self.inner.schedules.active(&self.service.name, true);
                self.restarts.forget();
                if !self.wanted
                    || matches!(self.service.state(), State::Failed | State::Backoff | State::Idle)
                {
                    self.wanted = true;
                    // Started by hand, it may be well again.
                    self.service.change(|view| view.standby = None);
                    self.begin().await;
                }
                let _ = reply.send(Ok(()));
            }
            Order::Stop(reply) => {
                self.inner.schedules.active(&self.service.name, false);
                self.rest(State::Stopped, Some("stopped by request".to_owned())).await;
                let _ = reply.send(Ok(()));
            }
            Order::Replace(declaration, reply) => self.replace(declaration, reply).await,
            Order::Wake => {
                if self.service.state() == State::Idle {
                    self.begin().await;
                }
            }
            Order::Remove(reply) => {
                self.rest(State::Stopped, Some("removed".to_owned())).await;
                let _ = reply.send(Ok(()));
                return true;
            }
        }
        false
    }

    /// Starts its processes, or says why not yet.
    pub(crate) async fn begin(&mut self) {
        self.retry_at = None;
        self.settled = false;
        let declaration = self.service.declaration();
        if let Some(name) = declaration.spec.requires.iter().find(|name| !self.inner.is_ready(name)) {
            self.service.set(State::Waiting, Some(format!("it requires {name:?}, which is not ready")));
            return;
        }
        if lock(&self.service.view).is_handler() {
            let there = match files::bring(&self.inner, &declaration).await {
                Ok(()) => self.inner.supervisor.module_get(declaration.module()).await.map(drop),
                Err(error) => Err(error),
            };
            match there {
                Ok(()) => self.service.set(State::Ready, None),
                Err(error) => self.fell(error.message, false, None).await,
            }
            return;
        }
        self.service.set(State::Starting, None);
        let missing = declaration.spec.instances.unwrap_or(1) as usize;
        let have = lock(&self.service.view).instances.len();
        for _ in have..missing {
            match self.launch(&declaration).await {
                Ok(instance) => self.service.change(|view| view.instances.push(instance)),
                Err(error) => {
                    // A port that is taken may be free in a moment.
                    let again = error.code.retryable() || error.code == ErrorCode::InvalidState;
                    return self.fell(error.message, again, None).await;
                }
            }
        }
    }

    /// Starts one process.
    pub(crate) async fn launch(&mut self, declaration: &Arc<Declaration>) -> Result<Arc<Instance>, Error> {
        let wanted =
            declaration.address.ok_or_else(|| Error::new(ErrorCode::Internal, "it has no address"))?;
        let fits = |open: &Public| {
            open.address.ip() == wanted.ip() && (wanted.port() == 0 || wanted.port() == open.address.port())
        };
        if !self.public.as_ref().is_some_and(fits) {
            let public = Public::open(wanted)
                .map_err(|error| Error::new(ErrorCode::InvalidState, error.to_string()))?;
            self.service.change(|view| view.address = Some(format!("http://{}", public.address)));
            self.public = Some(public);
        }
        let Some(public) = &self.public else {
            return Err(Error::new(ErrorCode::Internal, "it has no socket"));
        };
        files::bring(&self.inner, declaration).await?;
        let no = self.inner.next_no.fetch_add(1, Relaxed);
        let place = (self.inner.run_dir.as_path(), no);
        let events = self.service.events.clone();
        let instance = Instance::start(&self.inner.supervisor, declaration, public, place, events).await?;
        self.service.change(|view| view.digest = Some(instance.session.info().digest));
        Ok(instance)
    }

    /// A process says something of itself.
    pub(crate) async fn told(&mut self, no: u64, report: Report) {
        let find = |instance: &Arc<Instance>| instance.no == no;
        let Some(instance) = lock(&self.service.view).instances.iter().find(|i| find(i)).cloned() else {
            return;
        };
        match report {
            Report::Probed(probe) => {
                let ok = probe.ok;
                self.service.change(|view| view.probed(probe));
                if instance.ready.load(Relaxed) {
                    let all = lock(&self.service.view).instances.iter().all(|i| i.ready.load(Relaxed));
                    match (self.service.state(), ok) {
                        (State::Ready, false) => {
                            let why =
                                lock(&self.service.view).probes.back().and_then(|probe| probe.error.clone());
                            self.service.set(State::Unhealthy, why);
                        }
                        (State::Unhealthy, true) if all => self.service.set(State::Ready, None),
                        _ => {}
                    }
                }
            }
            Report::Ready => {
                instance.ready.store(true, Relaxed);
                self.service.change(|view| view.used = Instant::now());
                self.service.set(State::Ready, None);
            }
            Report::Unhealthy(why) => {
                self.service.change(|view| view.instances.retain(|i| i.no != no));
                // It does not answer, so there is nothing that it could finish.
                instance.stop(Duration::ZERO).await;
                self.service.change(|view| view.ended(instance.session.id(), why.clone()));
                self.fell(why, true, Some((false, instance.began.elapsed()))).await;
            }
            Report::Ended(outcome) => {
                self.service.change(|view| {
                    view.instances.retain(|i| i.no != no);
                    view.ended(instance.session.id(), outcome.to_string());
                });
                let ran = instance.began.elapsed();
                // What cannot be loaded will not be the next time either; then it is its fallback's turn.
                let loads = !matches!(outcome, Outcome::LoadFailed { .. });
                let again = loads || self.service.declaration().files.fallback.is_none();
                self.fell(outcome.to_string(), again, Some((outcome.is_success(), ran))).await;
            }
        }
    }

    /// A process is gone, or could not be started: decides what comes next.
    async fn fell(&mut self, why: String, again: bool, ended: Option<(bool, Duration)>) {
        if !self.wanted {
            return;
        }
        let declaration = self.service.declaration();
        let (success, ran) = ended.unwrap_or((false, Duration::ZERO));
        let decision = match again {
            true => self.restarts.ended(&declaration.spec.restart, Instant::now(), success, ran),
            false => Decision::Failed(String::new()),
        };
        let others = lock(&self.service.view).instances.iter().any(|instance| instance.ready.load(Relaxed));
        match decision {
            Decision::Again(wait) => {
                self.service.change(|view| view.restarts += 1);
                self.retry_at = Some(Instant::now() + wait);
                if !others {
                    self.service.set(State::Backoff, Some(why));
                    let at = crate::probe::now_ms() + wait.as_millis() as u64;
                    self.service.change(|view| view.next_try_at = Some(at));
                }
            }
            Decision::Failed(limit) if self.take_over(&declaration, &why, &limit).await => {}
            Decision::Failed(limit) if limit.is_empty() => self.rest(State::Failed, Some(why)).await,
            Decision::Failed(limit) => self.rest(State::Failed, Some(format!("{why}; {limit}"))).await,
            Decision::Rest => self.rest(State::Stopped, Some(format!("it ended by itself: {why}"))).await,
        }
    }

    /// Lets its fallback run instead of what has failed; false when there is none, or that was it.
    async fn take_over(&mut self, declaration: &Declaration, why: &str, limit: &str) -> bool {
        let Some(standby) = declaration.standby() else { return false };
        let limit = if limit.is_empty() { String::new() } else { format!("; {limit}") };
        let why = format!("{why}{limit}; its fallback {} takes over", standby.module());
        tracing::warn!(service = self.service.name, why, "service");
        self.rest(State::Starting, None).await;
        self.service.change(|view| view.standby = Some(Arc::new(standby)));
        self.wanted = true;
        self.restarts.forget();
        self.service.set(State::Backoff, Some(why));
        self.retry_at = Some(Instant::now());
        true
    }

    /// Stops all processes and is in this state afterwards. The port is free then, but for a service that is idle.
    pub(crate) async fn rest(&mut self, state: State, reason: Option<String>) {
        self.wanted = state == State::Idle;
        self.retry_at = None;
        let instances = std::mem::take(&mut lock(&self.service.view).instances);
        if !instances.is_empty() {
            self.service.set(State::Stopping, None);
            let grace = self.service.grace(self.inner.grace);
            join_all(instances.iter().map(|instance| instance.stop(grace))).await;
        }
        if state != State::Idle {
            self.public = None;
            self.service.change(|view| view.address = None);
        }
        self.service.set(state, reason);
    }

    /// When there is something to look at, if nothing happens before.
    fn wake(&self) -> Instant {
        let mut at = Instant::now() + Duration::from_secs(3600);
        at = self.retry_at.map_or(at, |retry| at.min(retry));
        let view = lock(&self.service.view);
        if view.state == State::Ready && !view.instances.is_empty() {
            if let Some(secs) = view.declaration.spec.idle_timeout_secs {
                at = at.min(
                    (view.used + Duration::from_secs(secs)).max(Instant::now() + Duration::from_millis(100)),
                );
            }
            if !self.settled {
                at = at.min(Instant::now() + LOOK);
            }
        }
        at
    }

    async fn tick(&mut self) {
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            return self.begin().await;
        }
        if self.service.state() != State::Ready {
            return;
        }
        let timeout = self.service.declaration().spec.idle_timeout_secs.map(Duration::from_secs);
        let used = lock(&self.service.view).used;
        if timeout.is_some_and(|timeout| used.elapsed() >= timeout) && self.service.under_way() == 0 {
            if self.public.as_ref().is_some_and(Public::is_connected) {
                // Somebody asks it straight, on its own port.
                self.service.change(|view| view.used = Instant::now());
                return;
            }
            return self.rest(State::Idle, Some("no request for its idle timeout".to_owned())).await;
        }
        if !self.settled {
            self.look_for_artifact().await;
        }
    }

    /// A module that runs interpreted is replaced when it has been compiled.
    async fn look_for_artifact(&mut self) {
        let running = lock(&self.service.view).instances.first().cloned();
        let Some(instance) = running.filter(|instance| instance.is_interpreted()) else {
            self.settled = true;
            return;
        };
        let digest = instance.session.info().digest;
        match self.inner.supervisor.module_get(&digest).await.map(|detail| detail.info.artifact) {
            Ok(ArtifactState::Compiled { .. }) => {
                tracing::info!(service = self.service.name, "its module has been compiled");
                let (reply, _) = tokio::sync::oneshot::channel();
                self.replace(None, reply).await;
                self.settled = true;
            }
            Ok(ArtifactState::Failed { .. }) | Err(_) => self.settled = true,
            Ok(ArtifactState::Interpreted | ArtifactState::Compiling) => {}
        }
    }
}

/// Waits until somebody connects to a service that is idle; for ever when there is none.
async fn connection(public: Option<Public>) {
    // Nothing is read: this is the one type of the runtime that waits for any descriptor and takes nothing from it.
    if let Some(public) = public
        && let Ok(socket) = public.socket.try_clone()
        && let Ok(watched) =
            tokio::net::unix::pipe::Receiver::from_file_unchecked(std::fs::File::from(socket))
        && watched.readable().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
