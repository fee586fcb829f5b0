//! The commands, one file each.

mod check;
mod completions;
mod compose;
mod deploy;
mod drain;
mod inspect;
mod log_level;
mod logs;
mod modules;
mod ps;
mod run;
mod runtime;
mod scenario;
mod schedules;
mod schema;
mod services;
mod settings;
mod stats;
mod stop;
mod templates;
mod ui;
mod wait;

use clap::Subcommand;

use crate::{Context, doctor};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a module or a script as a session, stream what it prints, and exit with its code; or a service in the foreground
    Run(run::Args),
    /// List sessions; those that run, unless told otherwise
    Ps(ps::Args),
    /// Show what a session printed
    Logs(logs::Args),
    /// Stop sessions: SIGTERM, then SIGKILL after the grace
    Stop(stop::Args),
    /// Wait until a session ended and exit with its code
    Wait(wait::Args),
    /// Show everything about a session, or what a WebAssembly file says of itself
    Inspect(inspect::Args),
    /// Check a package: its manifest, and the modules that it names
    Check(check::Args),
    /// List, add, show and remove modules
    Modules(modules::Args),
    /// List, show, create and remove templates: modules that stand ready in memory
    Templates(templates::Args),
    /// List, add and remove runtimes: templates that run scripts
    #[command(visible_alias = "runtimes")]
    Runtime(runtime::Args),
    /// List, deploy, start, stop and remove services: modules that answer HTTP behind the gateway
    #[command(visible_alias = "service")]
    Services(services::Args),
    /// Deploy a package as a new version of its service, here or on other machines: ready first, then the traffic moves
    Deploy(deploy::Args),
    /// Plug components together, as a WAC file says
    Compose(compose::Args),
    /// Test services under load
    Scenario(scenario::Args),
    /// List, pause, resume and run schedules: what is called on services, and when
    #[command(visible_alias = "schedule")]
    Schedules(schedules::Args),
    /// Show what the server does: sessions, workers, logs, memory
    Stats,
    /// Print the URL of the dashboard, with the token that it asks for
    Ui,
    /// Show the settings in force in the server, and where each comes from
    Settings,
    /// Have the server take no new session, or take them again; what runs goes on
    Drain(drain::Args),
    /// Show or change what the server logs
    LogLevel(log_level::Args),
    /// Check what this machine offers, and say what to do about what is missing
    Doctor,
    /// Print the completions for a shell
    Completions(completions::Args),
}

pub(crate) async fn run(context: &Context, verb: Verb) -> anyhow::Result<u8> {
    match verb {
        Verb::Run(args) => run::run(context, args).await,
        Verb::Ps(args) => ps::run(context, args).await,
        Verb::Logs(args) => logs::run(context, args).await,
        Verb::Stop(args) => stop::run(context, args).await,
        Verb::Wait(args) => wait::run(context, args).await,
        Verb::Inspect(args) => inspect::run(context, args).await,
        Verb::Check(args) => check::run(context, &args),
        Verb::Modules(args) => modules::run(context, args).await,
        Verb::Templates(args) => templates::run(context, args).await,
        Verb::Runtime(args) => runtime::run(context, args).await,
        Verb::Services(args) => services::run(context, args).await,
        Verb::Compose(args) => compose::run(context, &args),
        Verb::Scenario(args) => scenario::run(context, args).await,
        Verb::Deploy(args) => deploy::run(context, args).await,
        Verb::Schedules(args) => schedules::run(context, args).await,
        Verb::Stats => stats::run(context).await,
        Verb::Ui => ui::run(context).await,
        Verb::Settings => settings::run(context).await,
        Verb::Drain(args) => drain::run(context, args).await,
        Verb::LogLevel(args) => log_level::run(context, args).await,
        Verb::Doctor => doctor::run(context).await,
        Verb::Completions(args) => completions::run(context, &args),
    }
}

/// The id as the server knows it; people may leave out what all of them have in common. The server completes
/// a prefix that only one session has.
fn session_id(text: &str) -> Result<String, String> {
    match text.strip_prefix("ses-").unwrap_or(text) {
        "" => Err("a session's id is `ses-` and what follows, or the beginning of it".to_owned()),
        rest => Ok(format!("ses-{rest}")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_may_be_short() {
        assert_eq!(super::session_id("7f3a"), Ok("ses-7f3a".to_owned()));
        assert_eq!(super::session_id("ses-7f3a"), Ok("ses-7f3a".to_owned()));
        assert!(super::session_id("ses-").is_err() && super::session_id("").is_err());
    }
}
