//! `hero_runner services logs`.

use std::time::Duration;

use api::ErrorCode;
use api::log::SessionLogs;
use api::method::ServiceGetMethod;
use api::service::{ServiceRef, ServiceState};
use api::session::SessionInfo;

use super::state;
use crate::failure::advise;
use crate::pages;
use crate::render::{Choice, Sink};
use crate::verbs::logs::{follow, history};
use crate::{Context, text};

/// How often to look for the next process.
const LOOK: Duration = Duration::from_millis(500);

/// Show what the newest process of a service printed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its name
    name: String,
    /// Go on, also with the processes that come after it, until the service is stopped
    #[arg(short, long)]
    follow: bool,
    /// Begin with the last lines of the log
    #[arg(short = 'n', long, value_name = "COUNT")]
    tail: Option<u32>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let Context { client, console } = context;
    let name = args.name;
    let service = client.call::<ServiceGetMethod>(ServiceRef { name: name.clone() }).await?.service;
    let mut sink = Sink::new(Choice { json: console.json, ..Choice::default() });
    let mut current = pages::sessions_of(client, &name, 1).await?.pop();
    let mut last = None;
    match &current {
        Some(session) if args.tail.is_some() || !args.follow => {
            let first = SessionLogs {
                session_id: session.session_id.clone(),
                tail: args.tail,
                ..SessionLogs::default()
            };
            last = history(client, first, &mut sink).await?;
        }
        None if !args.follow || over(service.state) => {
            let hint = format!("`hero_runner services show {name}` says how it stands");
            return Err(advise(format!("no process of service {name} is known"), hint));
        }
        Some(_) | None => {}
    }
    if !args.follow {
        return Ok(0);
    }
    loop {
        if let Some(session) = &current {
            follow(client, &session.session_id, last.take(), None, &mut sink).await?;
        }
        current = match next(context, &name, current.as_ref()).await? {
            Some(session) => Some(session),
            None => return Ok(0),
        };
    }
}

/// Waits for the process after this one; none when there will be none.
async fn next(
    context: &Context,
    name: &str,
    before: Option<&SessionInfo>,
) -> anyhow::Result<Option<SessionInfo>> {
    loop {
        let service = context.client.call::<ServiceGetMethod>(ServiceRef { name: name.to_owned() }).await;
        // Newest first; what is between them has come and gone since.
        let sessions = pages::sessions_of(&context.client, name, pages::MANY).await?;
        let newer = match before {
            Some(before) => sessions.iter().position(|one| one.session_id == before.session_id),
            None => None,
        };
        let newer = newer.unwrap_or(sessions.len());
        if let Some(session) = sessions.into_iter().take(newer).next_back() {
            return Ok(Some(session));
        }
        match service {
            Ok(detail) if over(detail.service.state) => {
                let reason = detail.service.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                let told = format!("{name} is {}{reason}", state(detail.service.state));
                context.console.note(&text::plain(&told));
                return Ok(None);
            }
            Ok(_) => {}
            Err(error) if error.code() == Some(ErrorCode::ServiceNotFound) => {
                context.console.note(&format!("{name} was removed"));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether it does not run, and will not by itself.
fn over(state: ServiceState) -> bool {
    matches!(state, ServiceState::Stopped | ServiceState::Failed)
}
