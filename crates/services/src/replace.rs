//! Replacing what runs: the new one healthy first, then the old one drains.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use api::error::{Error, ErrorCode};
use api::service::ServiceState as State;
use futures_util::future::join_all;

use crate::declaration::Declaration;
use crate::instance::{Instance, Report};
use crate::service::{Event, Order, Reply, lock};
use crate::supervise::Life;
use crate::target;

/// How long whoever asked for a replacement waits for the old processes to be gone. They may go on for as long as the grace.
const GONE: Duration = Duration::from_secs(1);

impl Life {
    /// New processes first, then the old ones drain. When the new ones do not become ready, the old ones stay.
    pub(crate) async fn replace(&mut self, declaration: Option<Arc<Declaration>>, reply: Reply) {
        let before = self.service.declaration();
        let declared = declaration.is_some();
        let new = declaration.unwrap_or_else(|| Arc::clone(&before));
        let old = lock(&self.service.view).instances.clone();
        if old.is_empty() || lock(&self.service.view).is_handler() || new.address.is_none() {
            self.exchange(new, &before, declared).await;
            let _ = reply.send(Ok(()));
            return;
        }
        let public = self.public.clone();
        match self.fresh(&new).await {
            Ok(fresh) => {
                target::route(&self.inner, &self.service, &before, &new);
                self.service.change(|view| {
                    view.instances = fresh;
                    view.declare(new, declared);
                });
                self.retry_at = None;
                self.settled = false;
                self.service.set(State::Ready, None);
                let grace = before.spec.grace_ms.map_or(self.inner.grace, Duration::from_millis);
                let stopped = tokio::spawn(async move {
                    join_all(old.iter().map(|instance| instance.stop(grace))).await;
                });
                // Who asks on the service's own port from now on mostly gets the new ones.
                let _ = tokio::time::timeout(GONE, stopped).await;
                let _ = reply.send(Ok(()));
            }
            Err(why) => {
                // The socket of before, in case the new declaration named another one.
                self.public = public;
                let address = self.public.as_ref().map(|public| format!("http://{}", public.address));
                self.service.change(|view| {
                    view.address = address;
                    view.reason = Some(format!("the newer one did not become ready: {why}"));
                });
                let message = format!(
                    "service {:?} did not become ready, the one of before goes on: {why}",
                    self.service.name
                );
                let _ = reply.send(Err(Error::new(ErrorCode::ServiceFailed, message)));
            }
        }
    }

    /// Takes over a declaration where there is nothing to hand over.
    async fn exchange(&mut self, new: Arc<Declaration>, before: &Arc<Declaration>, declared: bool) {
        // What had failed may work now.
        let wanted = self.wanted || self.service.state() == State::Failed;
        let old = lock(&self.service.view).instances.clone();
        if !old.is_empty() || new.address != before.address {
            let state = self.service.state();
            self.rest(state, None).await;
        }
        target::route(&self.inner, &self.service, before, &new);
        self.service.change(|view| view.declare(new, declared));
        self.wanted = wanted;
        if wanted {
            self.restarts.forget();
            self.begin().await;
        }
    }

    /// Starts a whole set of processes of this declaration and waits until each is ready.
    async fn fresh(&mut self, declaration: &Arc<Declaration>) -> Result<Vec<Arc<Instance>>, String> {
        let mut fresh: Vec<Arc<Instance>> = Vec::new();
        let mut failed = None;
        for _ in 0..declaration.spec.instances.unwrap_or(1) {
            match self.launch(declaration).await {
                Ok(instance) => fresh.push(instance),
                Err(error) => failed = Some(error.message),
            }
        }
        while failed.is_none() && !fresh.iter().all(|instance| instance.ready.load(Relaxed)) {
            match self.events.recv().await {
                None => failed = Some("the server is stopping".to_owned()),
                Some(Event::Ordered(order @ (Order::Stop(_) | Order::Remove(_)))) => {
                    self.deferred.push_back(order);
                    failed = Some("it was told to stop".to_owned());
                }
                Some(Event::Ordered(order)) => self.deferred.push_back(order),
                Some(Event::Told(no, report)) => match fresh.iter().find(|instance| instance.no == no) {
                    None => self.told(no, report).await,
                    Some(instance) => match report {
                        Report::Ready => instance.ready.store(true, Relaxed),
                        Report::Probed(probe) => self.service.change(|view| view.probed(probe)),
                        Report::Unhealthy(why) => failed = Some(why),
                        Report::Ended(outcome) => failed = Some(outcome.to_string()),
                    },
                },
            }
        }
        match failed {
            None => Ok(fresh),
            Some(why) => {
                for instance in &fresh {
                    self.service.change(|view| view.ended(instance.session.id(), why.clone()));
                }
                join_all(fresh.iter().map(|instance| instance.stop(Duration::ZERO))).await;
                Err(why)
            }
        }
    }
}
