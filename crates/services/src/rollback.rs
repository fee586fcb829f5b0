//! `service_versions` and `service_rollback`.

use api::error::{Error, ErrorCode};
use api::service::{ServiceDetail, ServiceRef, ServiceRollback, ServiceVersions};

use crate::{Result, Services, pins};

impl Services {
    /// Lists the versions of a service that are kept, newest first; none where nothing was deployed.
    ///
    /// # Errors
    /// When there is no service of this name.
    pub fn versions(&self, request: &ServiceRef) -> Result<ServiceVersions> {
        let records = self.inner.versions.list(&request.name);
        if records.is_empty() {
            self.inner.find(&request.name)?;
        }
        Ok(ServiceVersions { versions: records.into_iter().map(|record| record.version).collect() })
    }

    /// Takes an earlier version into service again: ready first, then the present one drains. The one that serves stays as it
    /// is when it is asked for.
    ///
    /// # Errors
    /// `service_not_found`, `version_not_found`; `deploy_error` when it does not become ready, then all is as before.
    pub async fn rollback(&self, request: ServiceRollback) -> Result<ServiceDetail> {
        // It goes on to its end when the caller goes away.
        let services = self.clone();
        let done = self.inner.runtime.spawn(async move { services.roll_back(request).await }).await;
        done.map_err(|error| Error::new(ErrorCode::Internal, error.to_string()))?
    }

    async fn roll_back(&self, ServiceRollback { name, version }: ServiceRollback) -> Result<ServiceDetail> {
        let inner = &self.inner;
        let _changing = inner.changing.lock().await;
        let versions = self.versions(&api::service::ServiceRef { name: name.clone() })?.versions;
        let current = versions.iter().find(|version| version.current).map(|version| version.version);
        let wanted = match version {
            Some(number) => versions.iter().find(|version| version.version == number),
            None => versions.iter().find(|version| current.is_none_or(|current| version.version < current)),
        };
        let Some(wanted) = wanted else {
            let kept: Vec<String> = versions.iter().map(|version| version.version.to_string()).collect();
            let what = version.map_or_else(
                || "no version before the one that serves".to_owned(),
                |number| format!("no version {number}"),
            );
            let kept = if kept.is_empty() { "none".to_owned() } else { kept.join(", ") };
            let message = format!("service {name:?} has {what}; there is: {kept}");
            return Err(Error::new(ErrorCode::VersionNotFound, message));
        };
        if Some(wanted.version) != current {
            let switched = async {
                pins::pin_version(inner, &name, wanted.version).await?;
                self.switch(&name, wanted.version, None).await
            };
            switched.await.map_err(|error| match error.code {
                // Its manifest was taken once: what it wants may belong to another service by now.
                ErrorCode::ManifestInvalid | ErrorCode::ModuleLoad => {
                    Error::new(ErrorCode::DeployError, error.message)
                }
                _ => error,
            })?;
            tracing::info!(service = name, version = wanted.version, "rolled back");
        }
        self.get(&name)
    }
}
