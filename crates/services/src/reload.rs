//! `service_reload`: what has changed in the folder is taken up.

use std::sync::Arc;

use api::error::{Error, ErrorCode};
use api::service::{ServiceList, ServiceReload, ServiceState};
use futures_util::future::join_all;

use crate::declaration::{Declaration, scan};
use crate::service::{Order, Service, lock};
use crate::{Inner, Result, Services};

impl Services {
    /// Reads declarations and modules again; what has changed is replaced, what is new is started, what is gone is stopped.
    ///
    /// # Errors
    /// When a single service was named and is unknown, refused, or does not become ready. Without a name, what is wrong is in
    /// the list.
    pub async fn reload(&self, request: ServiceReload) -> Result<ServiceList> {
        let inner = &self.inner;
        let _changing = inner.changing.lock().await;
        inner.supervisor.read_services_dir().await?;
        let (mut found, problems) =
            scan(&inner.config.services_dir, Some(&inner.versions), inner.config.gateway);
        let only = request.name.as_deref();
        if let Some(name) = only
            && let Some(problem) = problems.iter().find(|problem| problem.name == name)
        {
            let key = problem.key.as_deref().map(|key| format!("{key}: ")).unwrap_or_default();
            let message = format!("{}: {key}{}", problem.file, problem.reason);
            lock(&inner.problems).retain(|before| before.name != name);
            lock(&inner.problems).push(problem.clone());
            return Err(Error::new(ErrorCode::ServiceInvalid, message));
        }
        let refused: Vec<String> = problems.iter().map(|problem| problem.name.clone()).collect();
        *lock(&inner.problems) = problems;
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        let current: Vec<_> = lock(&inner.services).values().cloned().collect();
        let mut changes = Vec::new();
        for service in current.iter().filter(|service| wanted(&service.name)) {
            match found.remove(&service.name) {
                Some(declaration) => changes.push(follow(inner, service, declaration)),
                // One that was refused goes on as it was.
                None if refused.contains(&service.name) => {}
                None => inner.drop_service(service).await?,
            }
        }
        let mut known = only.is_none_or(|only| current.iter().any(|service| service.name == only));
        for declaration in found.into_values().filter(|declaration| wanted(&declaration.name)) {
            known = true;
            let service = inner.add(declaration);
            inner.start_declared(&service);
        }
        let results = join_all(changes).await;
        if let Some(name) = only {
            if !known {
                return Err(Error::new(ErrorCode::ServiceNotFound, format!("there is no service {name:?}")));
            }
            results.into_iter().collect::<Result<()>>()?;
        }
        Ok(self.list())
    }
}

/// Takes up a declaration that may have changed, or a module that may have.
async fn follow(inner: &Arc<Inner>, service: &Arc<Service>, declaration: Declaration) -> Result<()> {
    let before = service.declared();
    let same = *before == declaration && !module_changed(inner, service).await;
    if same {
        return Ok(());
    }
    let (was, enabled) = (before.spec.enabled, declaration.spec.enabled);
    service.order(|reply| Order::Replace(Some(Arc::new(declaration)), reply)).await?;
    match (was, enabled) {
        (true, false) => service.order(Order::Stop).await,
        (false, true) => service.order(Order::Start).await,
        _ => Ok(()),
    }
}

/// Whether its module's name stands for another content than what ran last.
async fn module_changed(inner: &Inner, service: &Service) -> bool {
    let Some(running) = lock(&service.view).digest.clone() else {
        // It could not even begin, perhaps for want of its module.
        return service.state() == ServiceState::Failed;
    };
    let module = service.declaration().module().to_owned();
    inner.supervisor.module_get(&module).await.is_ok_and(|detail| detail.info.digest != running)
}

/// Looks at the refused declarations again: what they clashed with may be gone.
pub(crate) async fn look_again(inner: &Arc<Inner>) {
    let (found, problems) = scan(&inner.config.services_dir, Some(&inner.versions), inner.config.gateway);
    *lock(&inner.problems) = problems;
    for declaration in found.into_values() {
        if !lock(&inner.services).contains_key(&declaration.name) {
            let service = inner.add(declaration);
            inner.start_declared(&service);
        }
    }
}
