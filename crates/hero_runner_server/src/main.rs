//! The server of hero_runner.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use hero_runner_server::admin::Admin;
use hero_runner_server::core::Whole;
use hero_runner_server::entrance::Entrance;
use hero_runner_server::forward::Forwarder;
use hero_runner_server::inspect::{self, Inspector};
use hero_runner_server::lock::Lock;
use hero_runner_server::settings::{Call, Resolved, Sources, parse};
use hero_runner_server::{log_output, packages, serve, signals, socket, start};

/// Log lines are allocated on one thread and freed on others, which glibc's arenas answer with memory that only grows.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == inspect::ARGUMENT) {
        return inspect::run(&args.next().unwrap_or_default());
    }
    let sources = match Sources::from_process() {
        Ok(sources) => sources,
        Err(error) => return wrong_settings(&error),
    };
    let call = match parse(std::env::args_os(), sources) {
        Ok(call) => call,
        // --help and --version end here too, with code 0.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let resolved = match call.sources.resolve() {
        Ok(resolved) => resolved,
        Err(error) => return wrong_settings(&error),
    };
    if let Some(format) = call.print_config {
        print!("{}", resolved.show(format));
        return ExitCode::SUCCESS;
    }
    match run(call, resolved) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hero_runner_server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn wrong_settings(error: &hero_runner_server::settings::Error) -> ExitCode {
    eprintln!("hero_runner_server: {error}");
    ExitCode::from(2)
}

fn run(call: Call, resolved: Resolved) -> Result<()> {
    let settings = resolved.settings.clone();
    let level = log_output::start(&settings.log_level).context("the log cannot be started")?;
    if call.daemonized
        && let Err(error) = nix::unistd::setsid()
    {
        // The leader of a process group cannot leave its session; it was started so, and the server runs all the same.
        tracing::debug!(%error, "setsid");
    }
    start::raise_descriptor_limit();
    let inherited = socket::inherited()?;
    let lock = Lock::take(&settings)?;
    // The zygote is started here, before the runtime: from the next line on there may be threads.
    let core = start::start_core(&settings)?;

    // Its exporters have threads of their own, which cannot be made inside of the runtime.
    #[cfg(feature = "otlp")]
    let telemetry = hero_runner_server::telemetry::Telemetry::start()?;
    let ended: Option<supervisor::Ended> = None;
    #[cfg(feature = "otlp")]
    let ended = telemetry.as_ref().map(|telemetry| telemetry.ended()).or(ended);

    let runtime = match settings.server_threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        threads => {
            let threads = usize::try_from(threads).unwrap_or(1);
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
        }
    };
    let runtime = runtime.context("the runtime cannot be built")?;
    let served = runtime.block_on(async {
        let forwarder =
            Forwarder::open(&settings.state_dir).context("the log forwarder cannot be started")?;
        let sink: start::LogSink = Box::new(move |session_id, batch| forwarder.send_batch(session_id, batch));
        let supervisor = core.supervisor(&settings, sink, ended).await?;
        #[cfg(feature = "otlp")]
        if let Some(telemetry) = &telemetry {
            telemetry.watch(&supervisor);
        }
        let bound = socket::listen(inherited, &settings.socket, &lock)?;
        let routes = gateway::Routes::default();
        let services = start::open_services(&settings, &supervisor, routes.clone())?;
        packages::Door::open(&settings, &services, &routes)?;
        let entrance = Entrance::open(&settings, routes).await?;
        if let Some(url) = &entrance.url {
            services.gateway_listens(url.clone());
        }
        let admin = Admin::new(resolved, level);
        let gateway = Arc::clone(&entrance.counters);
        let inspector = Inspector::default();
        let whole = Whole { supervisor, services, gateway, admin: admin.clone(), inspector };
        let orders = signals::orders().context("signals cannot be received")?;
        let reload = || reload(&call.sources, &admin);
        // The socket's file goes when `bound` does, while the lock is still held.
        let served = serve::serve(whole, bound.listener, &settings, orders, reload).await;
        entrance.close().await;
        served
    });
    // Tasks that hang in a system call must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    #[cfg(feature = "otlp")]
    if let Some(telemetry) = telemetry {
        telemetry.close();
    }
    drop(lock);
    served
}

/// SIGHUP: the new settings are checked as a whole; of these only the log level can change in a running server.
fn reload(sources: &Sources, admin: &Admin) {
    match sources.resolve() {
        Ok(newer) => {
            let rest = admin.reload(&newer);
            if rest.is_empty() {
                tracing::info!(log_level = newer.settings.log_level.as_str(), "settings read again");
            } else {
                tracing::warn!(log_level = newer.settings.log_level.as_str(), needs_restart = ?rest, "settings read again");
            }
        }
        Err(error) => tracing::error!(%error, "the settings stay as they are"),
    }
}
