//! The calls of the API that are about one service.

use api::error::Error;
use api::service::{ServiceDetail, ServiceInfo, ServiceList, ServiceRef};
use api::session::Done;

use crate::declaration::FILE;
use crate::reload::look_again;
use crate::schedules::Schedules;
use crate::service::{Order, lock};
use crate::{Result, Services, pins};

impl Services {
    /// The services by name, and the declarations that were refused.
    #[must_use]
    pub fn list(&self) -> ServiceList {
        let gateway = self.inner.gateway.get();
        let services: Vec<_> = lock(&self.inner.services).values().cloned().collect();
        ServiceList {
            services: services.iter().map(|service| service.info(gateway.map(String::as_str))).collect(),
            problems: lock(&self.inner.problems).clone(),
            gateway: gateway.cloned(),
        }
    }

    /// The schedules of all services.
    #[must_use]
    pub fn schedules(&self) -> &Schedules {
        &self.inner.schedules
    }

    pub(crate) fn info(&self, name: &str) -> Result<ServiceInfo> {
        Ok(self.inner.find(name)?.info(self.inner.gateway.get().map(String::as_str)))
    }

    /// Shows one service.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn get(&self, name: &str) -> Result<ServiceDetail> {
        Ok(self.inner.find(name)?.detail(self.inner.gateway.get().map(String::as_str)))
    }

    /// Starts a service that does not run.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn start(&self, request: ServiceRef) -> Result<ServiceInfo> {
        self.inner.find(&request.name)?.order(Order::Start).await?;
        self.info(&request.name)
    }

    /// Stops a service; returns when it has stopped.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn stop(&self, request: ServiceRef) -> Result<ServiceInfo> {
        self.inner.find(&request.name)?.order(Order::Stop).await?;
        self.info(&request.name)
    }

    /// Replaces a service's processes by new ones; starts it when none runs.
    ///
    /// # Errors
    /// When there is none of this name, or the new ones do not become ready.
    pub async fn restart(&self, request: ServiceRef) -> Result<ServiceInfo> {
        let service = self.inner.find(&request.name)?;
        let runs = !lock(&service.view).instances.is_empty();
        service.order(if runs { |reply| Order::Replace(None, reply) } else { Order::Start }).await?;
        self.info(&request.name)
    }

    /// Stops a service and removes its declaration.
    ///
    /// # Errors
    /// When there is none of this name, or the file cannot be removed.
    pub async fn remove(&self, request: ServiceRef) -> Result<Done> {
        let _changing = self.inner.changing.lock().await;
        let service = self.inner.find(&request.name)?;
        // A version that was deployed may lie over a file of the same name.
        self.inner.versions.remove(&request.name)?;
        let file = self.inner.config.services_dir.join(&request.name).join(FILE);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("cannot remove {}: {error}", file.display());
                return Err(Error::new(api::ErrorCode::Internal, message));
            }
            _ => {}
        }
        // What else lies there is not this server's.
        let mut folder = file.as_path();
        for _ in FILE.split('/') {
            folder = folder.parent().unwrap_or(folder);
            let _ = std::fs::remove_dir(folder);
        }
        self.inner.drop_service(&service).await?;
        pins::unpin(&self.inner).await;
        look_again(&self.inner).await;
        Ok(Done { ok: true })
    }
}
