//! `hero_runner services`.

mod check;
mod declaration;
mod deploy;
mod list;
mod logs;
mod reload;
mod restart;
mod rm;
mod rollback;
mod schema;
mod show;
mod start;
mod stop;
mod versions;

use std::path::PathBuf;

use api::method::Method;
use api::service::{ServiceInfo, ServiceKind, ServiceRef, ServiceState};
use clap::Subcommand;
use futures_util::future::join_all;

use crate::{Context, failure};

/// List, deploy, start, stop and remove services.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the services; declarations that were refused are told on standard error
    List,
    /// Show everything about one service: its processes, its last probes, its last ends
    Show {
        /// Its name
        name: String,
    },
    /// Start services that were stopped or have failed
    Start(Names),
    /// Stop services: requests that are under way end, then SIGTERM, then SIGKILL
    Stop(Names),
    /// Replace the processes of services by new ones; no request fails
    Restart(Names),
    /// Read declarations and modules again, and replace what has changed
    Reload {
        /// Only this service
        name: Option<String>,
    },
    /// Stop services and remove their declarations; their modules stay
    Rm(Names),
    /// Declare a service or another version of it, and return when it is ready
    Deploy(deploy::Args),
    /// List the versions of a service that were deployed and are kept
    Versions {
        /// Its name
        name: String,
    },
    /// Take an earlier version of a service into service again: ready first, then the traffic moves
    Rollback {
        /// Its name
        name: String,
        /// The version; by default the newest one before the one that serves
        version: Option<u64>,
    },
    /// Show what the newest process of a service printed
    Logs(logs::Args),
    /// Print the JSON Schema of service.json
    Schema,
    /// Check service.json files, without a server; exit with 1 when one is wrong
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Which services.
#[derive(Debug, clap::Args)]
struct Names {
    /// Their names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    match args.verb.unwrap_or(Verb::List) {
        Verb::List => list::run(context).await,
        Verb::Show { name } => show::run(context, name).await,
        Verb::Start(Names { names }) => start::run(context, &names).await,
        Verb::Stop(Names { names }) => stop::run(context, &names).await,
        Verb::Restart(Names { names }) => restart::run(context, &names).await,
        Verb::Reload { name } => reload::run(context, name).await,
        Verb::Rm(Names { names }) => rm::run(context, &names).await,
        Verb::Deploy(args) => deploy::run(context, args).await,
        Verb::Versions { name } => versions::run(context, name).await,
        Verb::Rollback { name, version } => rollback::run(context, name, version).await,
        Verb::Logs(args) => logs::run(context, args).await,
        Verb::Schema => schema::run(context),
        Verb::Check { files } => check::run(context, &files),
    }
}

/// Calls a method for each service, all at once since each may take its time, and tells how they stand then.
async fn each<M>(context: &Context, verb: &str, names: &[String]) -> anyhow::Result<u8>
where
    M: Method<Params = ServiceRef, Reply = ServiceInfo>,
{
    let calls = names
        .iter()
        .map(|name| async move { (name, context.client.call::<M>(ServiceRef { name: name.clone() }).await) });
    let mut done = Vec::new();
    let mut code = 0;
    for (name, result) in join_all(calls).await {
        match result {
            Ok(service) => done.push(service),
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("cannot {verb} service {name}"));
                code = failure::report(&context.console, &error, 1);
            }
        }
    }
    if context.console.json {
        context.console.json(&done)?;
    } else {
        for service in &done {
            context.console.say(&line(service))?;
        }
    }
    Ok(code)
}

/// Where a service stands, on a line.
fn line(service: &ServiceInfo) -> String {
    let reason = service.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    crate::text::plain(&format!("{} {}{reason}", service.name, state(service.state)))
}

/// A state in a word, as the API says it.
pub(super) fn state(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Stopped => "stopped",
        ServiceState::Waiting => "waiting",
        ServiceState::Starting => "starting",
        ServiceState::Ready => "ready",
        ServiceState::Unhealthy => "unhealthy",
        ServiceState::Idle => "idle",
        ServiceState::Backoff => "backoff",
        ServiceState::Failed => "failed",
        ServiceState::Stopping => "stopping",
    }
}

fn kind(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Listener => "listener",
        ServiceKind::Handler => "handler",
    }
}
