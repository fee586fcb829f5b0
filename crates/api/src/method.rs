//! The methods: name, parameters, reply, errors. One trait, one row each.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::ErrorCode::{self, *};
use crate::{admin, inspection, log, module, samples, schedule, service, session, stats, template};

/// A method of the API. A client calls it by type; the server registers it by type; the OpenRPC document
/// is made from it.
pub trait Method {
    /// The name on the wire, `<noun>_<verb>`.
    const NAME: &'static str;
    /// One sentence for the document.
    const SUMMARY: &'static str;
    /// The errors that a caller has to expect, besides JSON-RPC's own.
    const ERRORS: &'static [ErrorCode];
    /// The parameters, by name or in the order of the fields.
    type Params: Serialize + DeserializeOwned + JsonSchema + Send;
    /// The reply.
    type Reply: Serialize + DeserializeOwned + JsonSchema + Send;
}

/// The parameters of a method that has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// Sees every method as a type.
pub trait Visitor {
    /// Called once for each method.
    fn row<M: Method>(&mut self);
}

macro_rules! methods {
    ($($ty:ident = $name:literal, $summary:literal, $params:ty => $reply:ty, [$($error:expr),*];)*) => {
        $(
            #[doc = $summary]
            #[derive(Debug, Clone, Copy)]
            pub struct $ty;

            impl Method for $ty {
                const NAME: &'static str = $name;
                const SUMMARY: &'static str = $summary;
                const ERRORS: &'static [ErrorCode] = &[$($error),*];
                type Params = $params;
                type Reply = $reply;
            }
        )*

        /// Calls `visitor.row::<M>()` for every method `M`, in the order of the document.
        pub fn each<V: Visitor>(visitor: &mut V) {
            $(visitor.row::<$ty>();)*
        }

        /// The names of all methods, in the order of the document.
        pub const NAMES: &[&str] = &[$($name),*];
    };
}

methods! {
    HealthMethod = "health", "Tells whether the server works.",
        NoParams => stats::Health, [];
    SessionStartMethod = "session_start", "Starts a session: runs a module in a process of its own.",
        session::SessionStart => session::SessionStarted,
        [ModuleNotFound, ModuleInvalid, ModuleImportMissing, ModuleUnsupported, ModuleLoad, TemplateNotFound, PathNotAllowed,
         PermissionDenied, TooLarge, QueueFull, ResourceExhausted, Draining, Unavailable];
    SessionStopMethod = "session_stop", "Stops a session: SIGTERM, then SIGKILL after the grace. It returns when the session ended.",
        session::SessionStop => session::Done, [SessionNotFound];
    SessionStopAllMethod = "session_stop_all", "Stops every session that runs or waits, or those of a module or with a label; not the processes of services. It returns when they ended.",
        session::SessionStopAll => session::SessionsStopped, [];
    SessionListMethod = "session_list", "Lists sessions, newest first, page by page.",
        session::SessionList => session::SessionPage, [];
    SessionGetMethod = "session_get", "Shows one session.",
        session::SessionRef => session::SessionInfo, [SessionNotFound];
    SessionRequestMethod = "session_request", "Shows what session_start was asked for, to run the same again, as long as the server keeps it in memory.",
        session::SessionRef => session::SessionStart, [SessionNotFound, InvalidState];
    SessionLogsMethod = "session_logs", "Reads lines of a session's log; waits for them when asked to.",
        log::SessionLogs => log::LogPage, [SessionNotFound];
    SessionResultMethod = "session_result", "Shows how a session ended and what it printed; null while it runs.",
        session::SessionRef => Option<session::SessionResult>, [SessionNotFound];
    SessionWaitMethod = "session_wait", "Waits until a session ended and shows its result, or until it is ready; null when the wait ran out first.",
        session::SessionWait => Option<session::Waited>, [SessionNotFound];
    SessionStdinMethod = "session_stdin", "Writes to a session's standard input, closes it, or both.",
        session::SessionStdin => session::Done, [SessionNotFound, InvalidState];
    ModulePutMethod = "module_put", "Registers a module under a name. Large files go to POST /modules/{name}.",
        module::ModulePut => module::ModuleDetail,
        [NameInvalid, ModuleInvalid, ModuleImportMissing, ModuleUnsupported, DigestMismatch, TooLarge, ResourceExhausted];
    ModuleListMethod = "module_list", "Lists the registered modules by name.",
        NoParams => module::ModuleList, [];
    ModuleGetMethod = "module_get", "Shows one module: its size, imports, exports and the state of its artifact.",
        module::ModuleRef => module::ModuleDetail, [ModuleNotFound];
    ModuleInspectMethod = "module_inspect", "Reads a stored module and shows all that it says of itself: imports, exports, sizes, producers, and which permissions it may need.",
        module::ModuleRef => inspection::Inspection,
        [ModuleNotFound, ModuleInvalid, ModuleUnsupported, ResourceExhausted];
    ModuleRemoveMethod = "module_remove", "Removes a registered name, and the content once no name and no session uses it.",
        module::ModuleRef => session::Done, [ModuleNotFound, ModuleInUse, InvalidState];
    TemplateCreateMethod = "template_create", "Keeps a module warm under a name, so that its sessions start by a fork. Returns at once; template_get shows when it is warm.",
        template::TemplateCreate => template::TemplateInfo,
        [NameInvalid, ModuleNotFound, ModuleImportMissing, ModuleUnsupported, PathNotAllowed, TooLarge, InvalidState, Unavailable];
    TemplateListMethod = "template_list", "Lists the templates by name, those that the server made by itself included.",
        NoParams => template::TemplateList, [];
    TemplateGetMethod = "template_get", "Shows one template.",
        template::TemplateRef => template::TemplateInfo, [TemplateNotFound];
    TemplateRemoveMethod = "template_remove", "Removes a template. Its sessions run on to their end.",
        template::TemplateRef => session::Done, [TemplateNotFound, InvalidState];
    ServiceListMethod = "service_list", "Lists the services by name, and the declarations that were refused.",
        NoParams => service::ServiceList, [];
    ServiceGetMethod = "service_get", "Shows one service: its declaration, its last probes, its last ends.",
        service::ServiceRef => service::ServiceDetail, [ServiceNotFound];
    ServiceStartMethod = "service_start", "Starts a service that was stopped or has failed. Returns at once; service_get shows when it is ready.",
        service::ServiceRef => service::ServiceInfo, [ServiceNotFound, Draining];
    ServiceStopMethod = "service_stop", "Stops a service: no new requests, those under way end, SIGTERM, SIGKILL. It returns when it has stopped.",
        service::ServiceRef => service::ServiceInfo, [ServiceNotFound];
    ServiceRestartMethod = "service_restart", "Replaces a service's processes by new ones: the new ones ready first, then the old ones drain. No request fails.",
        service::ServiceRef => service::ServiceInfo, [ServiceNotFound, ServiceFailed, Draining];
    ServiceReloadMethod = "service_reload", "Reads the declarations and modules again; what has changed is replaced as by service_restart.",
        service::ServiceReload => service::ServiceList, [ServiceNotFound, ServiceInvalid, ServiceFailed, Draining];
    ServiceRemoveMethod = "service_remove", "Stops a service and removes its declaration. Its module stays.",
        service::ServiceRef => session::Done, [ServiceNotFound];
    ServiceDeployMethod = "service_deploy", "Declares a service or another version of it, and returns when that is ready.",
        service::ServiceDeploy => service::ServiceDetail,
        [NameInvalid, ServiceInvalid, ServiceFailed, ModuleNotFound, ModuleInvalid, ModuleImportMissing, ModuleUnsupported,
         TooLarge, ResourceExhausted, Draining];
    ServiceVersionsMethod = "service_versions", "Lists the versions of a service that are kept, newest first.",
        service::ServiceRef => service::ServiceVersions, [ServiceNotFound];
    ServiceRollbackMethod = "service_rollback", "Takes an earlier version of a service into service again: ready first, then the present one drains.",
        service::ServiceRollback => service::ServiceDetail,
        [ServiceNotFound, VersionNotFound, ServiceFailed, DeployError, Draining];
    ScheduleListMethod = "schedule_list", "Lists the schedules with their last calls.",
        schedule::ScheduleQuery => schedule::ScheduleList, [ServiceNotFound];
    SchedulePauseMethod = "schedule_pause", "Pauses a schedule, also across restarts.",
        schedule::ScheduleRef => schedule::ScheduleInfo, [ScheduleNotFound];
    ScheduleResumeMethod = "schedule_resume", "Lets a paused schedule go on.",
        schedule::ScheduleRef => schedule::ScheduleInfo, [ScheduleNotFound];
    ScheduleRunNowMethod = "schedule_run_now", "Makes a schedule's call now, paused or not, and returns what came back.",
        schedule::ScheduleRef => schedule::ScheduleRun, [ScheduleNotFound, InvalidState, Draining];
    StatsMethod = "stats", "Shows what the server does: sessions, pool, logs, memory.",
        NoParams => stats::Stats, [];
    StatsHistoryMethod = "stats_history", "Shows what the server did over time: one sample a second for 15 minutes, and one every 15 seconds for 6 hours.",
        samples::StatsHistory => samples::StatsSamples, [];
    ServerSettingsMethod = "server_settings", "Lists the settings in force, each with its value and where that comes from. Secrets are not shown.",
        NoParams => admin::ServerSettings, [];
    ServerDrainMethod = "server_drain", "Refuses new sessions, or takes them again. Sessions that run go on, and so do services.",
        admin::ServerDrain => admin::Drained, [InvalidState];
    LogLevelMethod = "log_level", "Shows or changes what the server logs, until it restarts or reads its settings again.",
        admin::LogLevel => admin::LogLevelSet, [];
    DiscoverMethod = "rpc.discover", "Returns this document.",
        NoParams => serde_json::Value, [];
}
