//! What the gateway sees of a service.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use api::ModuleKind;
use api::service::ServiceState as State;
use gateway::{Address, Admission, Backend, Dialer, Refusal, Target};
use http::StatusCode;
use tokio::sync::OwnedSemaphorePermit;

use crate::Inner;
use crate::cgi::{self, Handler};
use crate::declaration::Declaration;
use crate::instance::Under;
use crate::proxy::Processes;
use crate::service::{Event, Order, Service, lock};

/// How long a request is held while its service starts.
const HOLD: Duration = Duration::from_secs(30);

/// Routes a service's prefix to it, and calls its schedules from now on.
pub(crate) fn route(inner: &Arc<Inner>, service: &Arc<Service>, before: &Declaration, now: &Declaration) {
    // Another service may have taken it over by now.
    let own = |(prefix, name): &(String, String)| *prefix == before.spec.prefix && *name == service.name;
    if before.spec.prefix != now.spec.prefix && inner.routes.names().iter().any(own) {
        inner.routes.remove(&before.spec.prefix);
    }
    let processes = Processes { inner: Arc::clone(inner), service: Arc::clone(service) };
    let dialer = Dialer::new(Arc::new(processes));
    let entrance = Entrance { inner: Arc::clone(inner), service: Arc::clone(service), dialer };
    inner.routes.set(&now.spec.prefix, Arc::new(entrance));
    inner.schedules.set(&service.name, &now.spec.prefix, &now.spec.schedules);
}

#[derive(Clone)]
struct Entrance {
    inner: Arc<Inner>,
    service: Arc<Service>,
    /// To the processes of a handler that is a component.
    dialer: Dialer,
}

impl Target for Entrance {
    fn name(&self) -> &str {
        &self.service.name
    }

    fn admit(&self) -> Admission {
        self.service.requests.fetch_add(1, Relaxed);
        match look(&self.service) {
            Look::Here(backend) => Admission::Now(Ok(backend)),
            Look::Handler => match self.handler() {
                Some(backend) => Admission::Now(Ok(backend)),
                None => Admission::Later(Box::pin(self.clone().turn())),
            },
            Look::Never(refusal) => Admission::Now(Err(refusal)),
            Look::Soon => Admission::Later(Box::pin(self.clone().hold())),
        }
    }
}

impl Entrance {
    /// A handler; `None` when a component has to wait for its turn.
    fn handler(&self) -> Option<Backend> {
        let declaration = self.service.declaration();
        match self.inner.supervisor.module_kind(declaration.module()) {
            Ok((ModuleKind::Component, _)) => {
                let permit = self.service.permits().try_acquire_owned().ok()?;
                Some(self.processes(permit))
            }
            // If there is no such module any more, that is what it tells.
            Ok((ModuleKind::Core, _)) | Err(_) => {
                Some(Backend::Handler(Arc::new(Handler::new(&self.inner, &self.service))))
            }
        }
    }

    fn processes(&self, permit: OwnedSemaphorePermit) -> Backend {
        Backend::Http { address: Address::Dial(self.dialer.clone()), lease: Box::new(permit) }
    }

    /// Waits until a component may get another request.
    async fn turn(self) -> Result<Backend, Refusal> {
        let permit = cgi::permit(&self.service).await?;
        Ok(self.processes(permit))
    }

    /// Waits until the service takes requests, or will not.
    async fn hold(self) -> Result<Backend, Refusal> {
        let mut changes = self.service.changed.subscribe();
        let waited = tokio::time::timeout(HOLD, async {
            loop {
                changes.mark_unchanged();
                match look(&self.service) {
                    Look::Here(backend) => return Ok(Some(backend)),
                    Look::Handler => return Ok(self.handler()),
                    Look::Never(refusal) => return Err(refusal),
                    Look::Soon => {}
                }
                if changes.changed().await.is_err() {
                    return Err(late(&self.service));
                }
            }
        });
        match waited.await.unwrap_or_else(|_| Err(late(&self.service)))? {
            Some(backend) => Ok(backend),
            None => self.turn().await,
        }
    }
}

/// What a look at a service says.
enum Look {
    Here(Backend),
    /// By itself it does nothing: there is a session for each request.
    Handler,
    Soon,
    Never(Refusal),
}

fn look(service: &Arc<Service>) -> Look {
    let mut view = lock(&service.view);
    let ready = view.instances.iter().filter(|instance| instance.ready.load(Relaxed));
    if let Some(instance) = ready.min_by_key(|instance| instance.requests.load(Relaxed)) {
        let address = Address::Unix(Arc::clone(&instance.private.path));
        let visit = Visit { _under: Under::way(instance), service: Arc::clone(service) };
        view.used = Instant::now();
        return Look::Here(Backend::Http { address, lease: Box::new(visit) });
    }
    let reason = || view.reason.clone().map(|reason| format!(": {reason}")).unwrap_or_default();
    let refused = |what: &str| {
        let reason = format!("service {:?} {what}{}", service.name, reason());
        Look::Never(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason, retry_after: None })
    };
    match view.state {
        State::Ready if view.is_handler() => {
            view.used = Instant::now();
            Look::Handler
        }
        State::Stopped | State::Stopping => refused("is stopped"),
        State::Failed => refused("has failed"),
        State::Idle => {
            let _ = service.events.send(Event::Ordered(Order::Wake));
            Look::Soon
        }
        State::Waiting | State::Starting | State::Ready | State::Unhealthy | State::Backoff => Look::Soon,
    }
}

fn late(service: &Service) -> Refusal {
    let view = lock(&service.view);
    let why = view.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let reason = format!("service {:?} is not ready ({}){why}", service.name, view.state.name());
    Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason, retry_after: Some(Duration::from_secs(1)) }
}

/// One request at a service.
struct Visit {
    _under: Under,
    service: Arc<Service>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        lock(&self.service.view).used = Instant::now();
    }
}
