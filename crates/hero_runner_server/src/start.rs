//! Starting the core: the part before there is a thread, and the part inside the runtime.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use api::template::TemplateCreate;
use gateway::Routes;
use services::Services;
use services::schedules::Schedules;
use supervisor::zygote::ZygoteProcess;
use supervisor::{Config, Supervisor, logs::Batch, pool};

use crate::entrance::beside;
use crate::settings::Settings;

/// Where lines of sessions go that want `forward_logs`.
pub type LogSink = Box<dyn Fn(&str, &Batch) + Send + Sync>;

/// The program that is the zygote; it is installed beside the server.
const ZYGOTE: &str = "hero_runner_zygote";

/// The zygote that runs components, likewise; it is started when there are any.
const ZYGOTE_WASMTIME: &str = "hero_runner_zygote_wasmtime";

/// What was started before the runtime: the zygote, which warms its engine meanwhile.
#[derive(Debug)]
pub struct WarmCore {
    program: PathBuf,
    zygote: ZygoteProcess,
}

/// Raises the soft limit of descriptors to the hard one. The usual soft limit, 1024, is there for programs that use
/// select(2); a running session takes four descriptors and a connection one.
pub fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Starts the zygote. It has to be called from the main thread, while there is no other: the kernel kills the
/// zygote when the thread that started it ends.
///
/// # Errors
/// When the zygote's program is not beside the server's, or cannot be run.
pub fn start_core(_settings: &Settings) -> Result<WarmCore> {
    let own = std::env::current_exe().context("cannot find the server's own program")?;
    let program = own.with_file_name(ZYGOTE);
    let zygote =
        ZygoteProcess::spawn(&program, false).context("cannot start the zygote; run build.sh again")?;
    Ok(WarmCore { program, zygote })
}

impl WarmCore {
    /// Starts the supervisor on the zygote, inside the runtime. The settings become the supervisor's own here.
    ///
    /// # Errors
    /// When the zygote does not become warm, or the state folder cannot be used.
    pub async fn supervisor(
        self,
        settings: &Settings,
        sink: LogSink,
        ended: Option<supervisor::Ended>,
    ) -> Result<Supervisor> {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let config = Config {
            zygote_wasmtime: cfg!(feature = "wasmtime").then(|| self.program.with_file_name(ZYGOTE_WASMTIME)),
            zygote: self.program,
            state_dir: settings.state_dir.clone(),
            services_dir: Some(settings.services_dir.clone()),
            module_dirs: settings.module_dirs.clone(),
            exec_programs: settings.exec_programs.clone(),
            pool: pool::Limits {
                spare_min: count(settings.spare_min),
                spare_max: count(settings.spare_max),
                max_sessions: count(settings.max_sessions),
                max_queue: count(settings.max_queue),
            },
            timeout_ms: (settings.timeout_ms > 0).then_some(settings.timeout_ms),
            memory_limit_mb: settings.memory_limit_mb,
            output_limit_bytes: settings.output_limit_bytes,
            grace: Duration::from_millis(settings.grace_ms),
            ring_lines: count(settings.ring_lines),
            yield_after_ms: settings.session_yield_ms,
            templates_max: count(settings.templates_max),
            templates: read_templates(settings)?,
            template_warm: Duration::from_millis(settings.template_warm_ms),
            templates_memory_kb: settings.templates_memory_mb << 10,
            compile: settings.compile,
            compile_timeout: Duration::from_millis(settings.compile_timeout_ms),
            compile_memory_mb: settings.compile_memory_mb,
            module_max_bytes: settings.module_max_bytes,
            history: store::history::Settings {
                session_log_bytes: settings.history_session_bytes,
                total_log_bytes: settings.history_total_bytes,
                max_records: settings.history_max_sessions,
                max_age_days: u64::from(settings.history_max_age_days),
            },
            forward_all: settings.forward_logs,
            forward: Some(Arc::from(sink)),
            ended,
        };
        Ok(Supervisor::start(config, self.zygote).await?)
    }
}

/// Opens the services on the supervisor; they begin to start.
///
/// # Errors
/// When the state folder cannot be used.
pub fn open_services(settings: &Settings, supervisor: &Supervisor, routes: Routes) -> Result<Services> {
    let database = store::Database::open(&settings.state_dir)?;
    let schedules =
        Schedules::new(store::schedules::Schedules::open(&database)?, beside(&settings.socket, "gateway"));
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let config = services::Config {
        services_dir: settings.services_dir.clone(),
        state_dir: settings.state_dir.clone(),
        gateway: settings.gateway_listen.0,
        grace: Duration::from_millis(settings.grace_ms),
        start: settings.services,
        max_package_bytes: u64::from(settings.max_package_mb) << 20,
        keep_versions: count(settings.keep_versions),
    };
    let services = Services::open(supervisor.clone(), routes, schedules, config)
        .context("the folder for the services' sockets cannot be made")?;
    if settings.watch
        && let Err(error) = services.watch()
    {
        tracing::error!(%error, dir = %settings.services_dir.display(), "the services folder cannot be watched");
    }
    Ok(services)
}

/// The templates that the files of the setting declare, each a list of what `template_create` takes. A file that is named
/// has to be there and to be right, like every other setting.
fn read_templates(settings: &Settings) -> Result<Vec<TemplateCreate>> {
    let mut templates = Vec::new();
    for path in &settings.templates_file {
        let place = || format!("templates_file {}", path.display());
        let text = std::fs::read_to_string(path).with_context(place)?;
        templates.extend(serde_json::from_str::<Vec<TemplateCreate>>(&text).with_context(place)?);
    }
    Ok(templates)
}
