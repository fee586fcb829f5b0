//! `hero_runner schedules`.

mod history;
mod list;
mod pause;
mod resume;
mod run_now;

use api::method::Method;
use api::schedule::{ScheduleInfo, ScheduleRef, ScheduleRun};
use clap::Subcommand;

use crate::{Context, text};

/// List, pause, resume and run schedules.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the schedules with their last calls
    List {
        /// Only those of this service
        service: Option<String>,
    },
    /// Pause a schedule, also across restarts of the server
    Pause {
        /// Its id, SERVICE/NAME
        id: String,
    },
    /// Let a paused schedule go on
    Resume {
        /// Its id, SERVICE/NAME
        id: String,
    },
    /// Make a schedule's call now, paused or not; exit with 1 when it does not succeed
    Run {
        /// Its id, SERVICE/NAME
        id: String,
    },
    /// Show the last calls of a schedule
    History {
        /// Its id, SERVICE/NAME
        id: String,
    },
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    match args.verb.unwrap_or(Verb::List { service: None }) {
        Verb::List { service } => list::run(context, service).await,
        Verb::Pause { id } => pause::run(context, id).await,
        Verb::Resume { id } => resume::run(context, id).await,
        Verb::Run { id } => run_now::run(context, id).await,
        Verb::History { id } => history::run(context, id).await,
    }
}

/// Calls a method for a schedule, and tells how it stands then.
async fn change<M>(context: &Context, id: String) -> anyhow::Result<u8>
where
    M: Method<Params = ScheduleRef, Reply = ScheduleInfo>,
{
    let schedule = context.client.call::<M>(ScheduleRef { id }).await?;
    if context.console.json {
        context.console.json(&schedule)?;
    } else {
        let next = schedule.next_at.map(|at| format!(", next call {}", text::until(at, text::now_ms())));
        let line = format!("{} {}{}", schedule.id, state(&schedule), next.unwrap_or_default());
        context.console.say(&text::plain(&line))?;
    }
    Ok(0)
}

/// Where a schedule stands, in a word or two.
fn state(schedule: &ScheduleInfo) -> &'static str {
    match (schedule.paused, schedule.running) {
        (false, false) => "active",
        (false, true) => "running",
        (true, false) => "paused",
        (true, true) => "paused, running",
    }
}

/// What came of a call: its status and how long it took.
fn result(run: &ScheduleRun) -> String {
    let found = run.status.map_or("no answer".to_owned(), |status| status.to_string());
    // Of what is counted in milliseconds, none is not nothing.
    let took = match run.duration_ms {
        0 => "< 1 ms".to_owned(),
        ms => text::span(ms.saturating_mul(1000)),
    };
    format!("{found} {took}")
}
