//! Services: long-lived sessions that speak HTTP, declared by `service.json`.
//!
//! Each service has a task ([`supervise`]) that starts its processes ([`instance`]), probes them, starts them again
//! ([`restart`]) and replaces them without a failing request ([`replace`]). The gateway sees it as a target ([`target`]),
//! and a handler's requests become sessions ([`cgi`]) or go to sessions that serve ([`proxy`]). Schedules call services through the gateway ([`schedules`]).

mod calls;
mod cgi;
mod declaration;
mod deploy;
mod files;
mod instance;
mod pins;
mod probe;
mod proxy;
mod release;
mod reload;
mod replace;
mod restart;
mod rollback;
pub mod schedules;
mod service;
mod sockets;
mod supervise;
mod target;
mod trial;
mod upload;
mod versions;
mod watching;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use api::error::{Error, ErrorCode};
use api::service::{ServiceProblem, ServiceState};
use gateway::Routes;
use supervisor::Supervisor;
use tokio::sync::{Semaphore, mpsc, watch};

use declaration::Declaration;
use schedules::Schedules;
use service::{Order, Service, lock};
use supervise::Life;
use versions::Versions;

pub use upload::{PackageUpload, Release, Stage};

/// Packages that may be uploaded at once.
const UPLOADS: usize = 4;

/// The result of every call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What services are told at the start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder whose `<name>/config/service.json` declare services.
    pub services_dir: PathBuf,
    /// The server's folder; sockets of services lie in `run` below it.
    pub state_dir: PathBuf,
    /// The gateway's TCP address, which no service may have.
    pub gateway: Option<SocketAddr>,
    /// How long requests may take to end when a service stops, and how long after SIGTERM it is killed, where its
    /// declaration does not say.
    pub grace: Duration,
    /// Whether declared services are started.
    pub start: bool,
    /// The largest package that is taken, in bytes as it is sent.
    pub max_package_bytes: u64,
    /// How many versions of a service are kept beside the one that serves.
    pub keep_versions: usize,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) supervisor: Supervisor,
    pub(crate) routes: Routes,
    pub(crate) schedules: Schedules,
    pub(crate) config: Config,
    pub(crate) run_dir: PathBuf,
    pub(crate) versions: Versions,
    /// Packages that may still be uploaded at once.
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) grace: Duration,
    pub(crate) services: Mutex<BTreeMap<String, Arc<Service>>>,
    pub(crate) problems: Mutex<Vec<ServiceProblem>>,
    /// Changes with the state of any service.
    pub(crate) changed: watch::Sender<()>,
    /// The number of the next process.
    pub(crate) next_no: AtomicU64,
    /// Who changes the set of services holds it.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// The gateway's URL, once it listens.
    pub(crate) gateway: OnceLock<String>,
    /// Where sessions are started: the supervisor's runtime, which is not the gateway's.
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Inner {
    /// Whether a service takes requests; one that is idle does, it starts with the first.
    pub(crate) fn is_ready(&self, name: &str) -> bool {
        let service = lock(&self.services).get(name).cloned();
        service.is_some_and(|service| matches!(service.state(), ServiceState::Ready | ServiceState::Idle))
    }

    pub(crate) fn find(&self, name: &str) -> Result<Arc<Service>> {
        let found = lock(&self.services).get(name).cloned();
        found.ok_or_else(|| {
            let refused = lock(&self.problems).iter().find(|problem| problem.name == name).map(|problem| {
                let key = problem.key.as_deref().map(|key| format!("{key}: ")).unwrap_or_default();
                format!("service {name:?} was refused: {}: {key}{}", problem.file, problem.reason)
            });
            Error::new(
                ErrorCode::ServiceNotFound,
                refused.unwrap_or_else(|| format!("there is no service {name:?}")),
            )
        })
    }

    /// Makes a service of a declaration; it does not run yet.
    pub(crate) fn add(self: &Arc<Self>, declaration: Declaration) -> Arc<Service> {
        let (events, told) = mpsc::unbounded_channel();
        let service = Arc::new(Service::new(declaration, events, self.changed.clone()));
        lock(&self.services).insert(service.name.clone(), Arc::clone(&service));
        let declaration = service.declaration();
        target::route(self, &service, &declaration, &declaration);
        tokio::spawn(Life::new(Arc::clone(self), Arc::clone(&service), told).run());
        service
    }

    /// Stops a service and forgets it.
    pub(crate) async fn drop_service(&self, service: &Arc<Service>) -> Result<()> {
        let prefix = service.declaration().spec.prefix.clone();
        service.order(Order::Remove).await?;
        self.routes.remove(&prefix);
        self.schedules.remove(&service.name);
        lock(&self.services).remove(&service.name);
        Ok(())
    }

    /// Starts a service if its declaration and the settings say so.
    pub(crate) fn start_declared(self: &Arc<Self>, service: &Arc<Service>) {
        if !self.config.start || !service.declaration().spec.enabled {
            service.set(ServiceState::Stopped, Some("not enabled".to_owned()));
            self.schedules.active(&service.name, false);
            return;
        }
        // A request that comes before its task has begun is held, like one that comes a little later.
        service.set(ServiceState::Starting, None);
        let (inner, service) = (Arc::clone(self), Arc::clone(service));
        tokio::spawn(async move {
            if let Some(version) = service.declaration().version
                && let Err(error) = pins::pin_version(&inner, &service.name, version).await
            {
                tracing::error!(service = service.name, version, %error, "the modules of its version are not there");
            }
            service.order(Order::Start).await
        });
    }
}

/// The services. Cloning it is cheap; all clones are one set.
#[derive(Debug, Clone)]
pub struct Services {
    inner: Arc<Inner>,
}

impl Services {
    /// Reads the declarations and begins to start them. It has to be called inside the supervisor's runtime.
    ///
    /// # Errors
    /// When the folder for sockets cannot be made. A wrong declaration is none: it is listed.
    pub fn open(
        supervisor: Supervisor,
        routes: Routes,
        schedules: Schedules,
        config: Config,
    ) -> std::io::Result<Self> {
        let run_dir = sockets::folder(&config.state_dir)?;
        let versions = Versions::open(&config.state_dir)?;
        let inner = Arc::new(Inner {
            supervisor,
            routes,
            schedules,
            run_dir,
            versions,
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            grace: config.grace,
            services: Mutex::default(),
            problems: Mutex::default(),
            changed: watch::Sender::new(()),
            next_no: AtomicU64::new(1),
            changing: tokio::sync::Mutex::default(),
            gateway: OnceLock::new(),
            runtime: tokio::runtime::Handle::current(),
            config,
        });
        let (declarations, problems) =
            declaration::scan(&inner.config.services_dir, Some(&inner.versions), inner.config.gateway);
        for problem in &problems {
            tracing::error!(
                file = problem.file,
                key = problem.key,
                reason = problem.reason,
                "a service was refused"
            );
        }
        *lock(&inner.problems) = problems;
        // All are there before the first starts: who requires another one finds it.
        let services: Vec<_> = declarations.into_values().map(|one| inner.add(one)).collect();
        for service in services {
            inner.start_declared(&service);
        }
        let pinned = Arc::clone(&inner);
        tokio::spawn(async move { pins::unpin(&pinned).await });
        Ok(Self { inner })
    }

    /// Tells where the gateway listens, for the URLs in lists.
    pub fn gateway_listens(&self, url: String) {
        let _ = self.inner.gateway.set(url);
    }

    /// Stops all services, each after the requests that are under way.
    pub async fn drain(&self) {
        self.inner.schedules.stop().await;
        let services: Vec<_> = lock(&self.inner.services).values().cloned().collect();
        futures_util::future::join_all(services.iter().map(|service| service.order(Order::Stop))).await;
    }
}
