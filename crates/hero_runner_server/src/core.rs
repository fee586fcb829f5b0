//! What the wire needs of the supervisor.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use api::{error::Error, method as m, module::ModuleDetail, stats};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use gateway::Counters;
use services::Services;
use supervisor::{ModuleUpload, Supervisor, logs::LogEvent};

use crate::admin::Admin;
use crate::entrance;
use crate::inspect::Inspector;
use crate::methods::Methods;

/// The result of every call.
pub type Result<T> = std::result::Result<T, Error>;

/// The core behind the wire: the supervisor, or a stand-in in tests.
pub trait Core: Clone + Send + Sync + 'static {
    /// An upload in progress; dropping it discards what came so far.
    type Upload: Upload;

    /// The methods that can be called.
    fn methods(&self) -> Methods;
    /// Follows a session's log.
    fn subscribe(
        &self,
        session_id: &str,
        after_seq: Option<u64>,
    ) -> impl Future<Output = Result<BoxStream<'static, LogEvent>>> + Send;
    /// Begins an upload.
    fn upload(
        &self,
        name: Option<&str>,
        sha256: Option<String>,
    ) -> impl Future<Output = Result<Self::Upload>> + Send;
    /// Numbers about the server.
    fn stats(&self) -> impl Future<Output = stats::Stats> + Send;
    /// Whether all is well.
    fn health(&self) -> impl Future<Output = stats::Health> + Send;
    /// Where packages are deployed; nowhere in a core without services.
    fn services(&self) -> Option<&Services> {
        None
    }
    /// Accepts nothing new and ends what runs.
    fn drain(&self, grace: Duration) -> impl Future<Output = ()> + Send;
}

/// An upload in progress.
pub trait Upload: Send + 'static {
    /// Takes the next piece.
    fn write(&mut self, piece: Bytes) -> impl Future<Output = Result<()>> + Send;
    /// Checks and registers the module.
    fn finish(self) -> impl Future<Output = Result<ModuleDetail>> + Send;
}

/// The OpenRPC document, the same bytes wherever it is asked for.
pub(crate) fn openrpc() -> Bytes {
    static TEXT: std::sync::OnceLock<Bytes> = std::sync::OnceLock::new();
    TEXT.get_or_init(|| api::openrpc::text().into()).clone()
}

/// The supervisor with the services on it.
#[derive(Debug, Clone)]
pub struct Whole {
    /// Sessions, modules, templates.
    pub supervisor: Supervisor,
    /// Services and their schedules.
    pub services: Services,
    /// The gateway's numbers.
    pub gateway: Arc<Counters>,
    /// The settings and the log.
    pub admin: Admin,
    /// What modules say of themselves.
    pub inspector: Inspector,
}

impl Whole {
    async fn all_stats(&self) -> stats::Stats {
        let mut stats = self.supervisor.stats().await;
        for service in self.services.list().services {
            *stats.services.entry(service.state.name().to_owned()).or_default() += 1;
        }
        stats.gateway = entrance::shown(&self.gateway);
        stats
    }
}

impl Core for Whole {
    type Upload = ModuleUpload;

    fn methods(&self) -> Methods {
        let mut methods = Methods::default();
        macro_rules! on {
            ($of:ident: $($ty:ident($core:ident, $params:ident) => $call:expr;)*) => {$({
                let core = self.$of.clone();
                methods.on::<m::$ty, _, _>(move |$params| {
                    let $core = core.clone();
                    async move { $call }
                });
            })*};
        }
        on! {
            services:
            ServiceListMethod(core, _params) => Ok(core.list());
            ServiceGetMethod(core, params) => core.get(&params.name);
            ServiceStartMethod(core, params) => core.start(params).await;
            ServiceStopMethod(core, params) => core.stop(params).await;
            ServiceRestartMethod(core, params) => core.restart(params).await;
            ServiceReloadMethod(core, params) => core.reload(params).await;
            ServiceRemoveMethod(core, params) => core.remove(params).await;
            ServiceDeployMethod(core, params) => core.deploy(params).await;
            ServiceVersionsMethod(core, params) => core.versions(&params);
            ServiceRollbackMethod(core, params) => core.rollback(params).await;
            ScheduleListMethod(core, params) => core.schedules().list(params).await;
            SchedulePauseMethod(core, params) => core.schedules().pause(&params.id).await;
            ScheduleResumeMethod(core, params) => core.schedules().resume(&params.id).await;
            ScheduleRunNowMethod(core, params) => core.schedules().run_now(&params.id).await;
        }
        on! {
            supervisor:
            HealthMethod(core, _params) => Ok(core.health().await);
            SessionStartMethod(core, params) => core.session_start(params).await;
            SessionStopMethod(core, params) => core.session_stop(params).await;
            SessionStopAllMethod(core, params) => core.session_stop_all(params).await;
            SessionListMethod(core, params) => core.session_list(params).await;
            SessionGetMethod(core, params) => core.session_get(&params.session_id).await;
            SessionRequestMethod(core, params) => core.session_request(&params.session_id).await;
            SessionLogsMethod(core, params) => core.session_logs(params).await;
            SessionResultMethod(core, params) => core.session_result(&params.session_id).await;
            SessionWaitMethod(core, params) => core.session_wait(params).await;
            SessionStdinMethod(core, params) => core.session_stdin(params).await;
            ModulePutMethod(core, params) => core.module_put(params).await;
            ModuleListMethod(core, _params) => core.module_list().await;
            ModuleGetMethod(core, params) => core.module_get(&params.name).await;
            ModuleRemoveMethod(core, params) => core.module_remove(&params.name).await;
            StatsHistoryMethod(core, params) => core.stats_history(&params);
            ServerDrainMethod(core, params) => core.server_drain(&params);
            TemplateCreateMethod(core, params) => core.template_create(params).await;
            TemplateListMethod(core, _params) => core.template_list().await;
            TemplateGetMethod(core, params) => core.template_get(&params.name).await;
            TemplateRemoveMethod(core, params) => core.template_remove(&params.name).await;
        }
        on! {
            admin:
            ServerSettingsMethod(core, _params) => Ok(core.list());
            LogLevelMethod(core, params) => core.log_level(&params);
        }
        let (core, inspector) = (self.supervisor.clone(), self.inspector.clone());
        methods.on::<m::ModuleInspectMethod, _, _>(move |params| {
            let (core, inspector) = (core.clone(), inspector.clone());
            async move { inspector.inspect(&core, &params.name).await }
        });
        let core = self.clone();
        methods.on::<m::StatsMethod, _, _>(move |_| {
            let core = core.clone();
            async move { Ok(core.all_stats().await) }
        });
        methods.constant::<m::DiscoverMethod>(openrpc());
        methods
    }

    async fn subscribe(
        &self,
        session_id: &str,
        after_seq: Option<u64>,
    ) -> Result<BoxStream<'static, LogEvent>> {
        Ok(self.supervisor.subscribe(session_id, after_seq).await?.boxed())
    }

    async fn upload(&self, name: Option<&str>, sha256: Option<String>) -> Result<ModuleUpload> {
        self.supervisor.module_upload(name, sha256).await
    }

    async fn stats(&self) -> stats::Stats {
        self.all_stats().await
    }

    async fn health(&self) -> stats::Health {
        self.supervisor.health().await
    }

    fn services(&self) -> Option<&Services> {
        Some(&self.services)
    }

    async fn drain(&self, grace: Duration) {
        // Schedules and services first: they end in order, and start nothing any more.
        self.services.drain().await;
        self.supervisor.drain(grace).await;
    }
}

impl Upload for ModuleUpload {
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        self.write(piece).await
    }

    async fn finish(self) -> Result<ModuleDetail> {
        self.finish().await
    }
}
