//! What the gateway sees of a service.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use api::service::ServiceState as State;
use gateway::{Address, Admission, Backend, Refusal, Target};
use http::StatusCode;

use crate::Inner;
use crate::cgi::Handler;
use crate::declaration::Declaration;
use crate::instance::Under;
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
    let entrance = Entrance { inner: Arc::clone(inner), service: Arc::clone(service) };
    inner.routes.set(&now.spec.prefix, Arc::new(entrance));
    inner.schedules.set(&service.name, &now.spec.prefix, &now.spec.schedules);
}

struct Entrance {
    inner: Arc<Inner>,
    service: Arc<Service>,
}

impl Target for Entrance {
    fn name(&self) -> &str {
        &self.service.name
    }

    fn admit(&self) -> Admission {
        self.service.requests.fetch_add(1, Relaxed);
        match look(&self.inner, &self.service) {
            Look::Here(backend) => Admission::Now(Ok(backend)),
            Look::Never(refusal) => Admission::Now(Err(refusal)),
            Look::Soon => {
                Admission::Later(Box::pin(hold(Arc::clone(&self.inner), Arc::clone(&self.service))))
            }
        }
    }
}

/// What a look at a service says.
enum Look {
    Here(Backend),
    Soon,
    Never(Refusal),
}

fn look(inner: &Arc<Inner>, service: &Arc<Service>) -> Look {
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
            Look::Here(Backend::Handler(Arc::new(Handler::new(inner, service))))
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

/// Waits until the service takes requests, or will not.
async fn hold(inner: Arc<Inner>, service: Arc<Service>) -> Result<Backend, Refusal> {
    let mut changes = service.changed.subscribe();
    let waited = tokio::time::timeout(HOLD, async {
        loop {
            changes.mark_unchanged();
            match look(&inner, &service) {
                Look::Here(backend) => return Ok(backend),
                Look::Never(refusal) => return Err(refusal),
                Look::Soon => {}
            }
            if changes.changed().await.is_err() {
                return Err(late(&service));
            }
        }
    });
    waited.await.unwrap_or_else(|_| Err(late(&service)))
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
