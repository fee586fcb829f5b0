//! A service in the foreground: started, followed, and stopped with us.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use api::ErrorCode;
use api::method::{
    ModuleGetMethod, ServiceGetMethod, ServiceStartMethod, ServiceStopMethod, SessionStopMethod,
};
use api::module::ModuleRef;
use api::service::{ServiceInfo, ServiceRef, ServiceState};
use api::session::SessionStop;
use client::{Client, LogEvent, LogStream};
use futures_util::stream::{SelectAll, StreamExt};
use futures_util::FutureExt;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::attach::{Signals, Written, write};
use crate::failure::{self, advise};
use crate::render::{Choice, Sink};
use crate::verbs::services::state;
use crate::{Context, exit, pages, text};

/// How often to look how it stands, and for new processes.
const LOOK: Duration = Duration::from_millis(250);
/// How long the last lines may take after it has stopped.
const LAST_LINES: Duration = Duration::from_secs(3);
/// How long a service that was told to start may still be called stopped.
const BEGINS: Duration = Duration::from_secs(5);
/// Events that are written before the output is flushed.
const BATCH: usize = 512;

/// How it ended for us.
enum End {
    /// It is stopped: because we asked for it, or somebody else did.
    Stopped,
    /// It gave up; why.
    Failed(String),
    /// Nobody reads what it prints.
    NoReader,
}

pub(super) async fn run(context: &Context, name: &str, mut signals: Signals) -> anyhow::Result<u8> {
    let client = &context.client;
    let service = find(client, name).await?;
    if !matches!(service.state, ServiceState::Stopped | ServiceState::Failed) {
        return Err(advise(
            format!("service {name} runs already ({})", state(service.state)),
            format!(
                "`hero_runner services logs -f {name}` follows it; `hero_runner services stop {name}` stops it"
            ),
        ));
    }
    // What it printed before is not of this run.
    let before = pages::sessions_of(client, name, pages::MANY).await?;
    client.call::<ServiceStartMethod>(reference(name)).await?;
    let mut run = Foreground {
        context,
        name,
        sink: Sink::new(Choice { json: context.console.json, ..Choice::default() }),
        streams: SelectAll::new(),
        seen: before.into_iter().map(|session| session.session_id).collect(),
        begun: Instant::now(),
        lived: false,
        told: None,
        asked: None,
    };
    let end = tokio::select! {
        end = run.until_end(&mut signals) => end?,
        code = left(context, name) => return Ok(code),
    };
    run.finish(end).await
}

/// Never: a place for what may cut a run short.
async fn left(_context: &Context, _name: &str) -> u8 {
    std::future::pending().await
}

fn reference(name: &str) -> ServiceRef {
    ServiceRef { name: name.to_owned() }
}

/// The service, or what to do when there is only a module of this name.
async fn find(client: &Client, name: &str) -> anyhow::Result<ServiceInfo> {
    match client.call::<ServiceGetMethod>(reference(name)).await {
        Ok(detail) => Ok(detail.service),
        Err(error) if error.code() == Some(ErrorCode::ServiceNotFound) => {
            let module = client.call::<ModuleGetMethod>(ModuleRef { name: name.to_owned() }).await;
            Err(match module {
                Ok(_) => advise(
                    format!("{name} is a module and no service"),
                    format!(
                        "`hero_runner run {name}` runs it as a session; `hero_runner services deploy {name} --spec FILE` \
                         makes a service of it"
                    ),
                ),
                Err(_) => error.into(),
            })
        }
        Err(error) => Err(error.into()),
    }
}
