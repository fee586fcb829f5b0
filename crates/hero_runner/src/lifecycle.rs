//! The life of the server and of its pages for a browser: started, asked after, stopped.

mod daemon;
mod launch;
mod process;
pub(crate) mod programs;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod ui;
mod zinit;

use std::io;
use std::time::Duration;

use api::method::{NoParams, ServiceListMethod};
use api::stats::Health;
use client::{Client, Error};

/// How long a program that works takes to answer, at most.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);

/// What is found behind a socket.
#[derive(Debug)]
pub(crate) enum Probe {
    /// A server that works.
    Answers(Health),
    /// There is no socket.
    Missing,
    /// There is a socket that nobody listens on.
    Stale,
    /// Somebody listens, and does not answer as hero_runner does. Why.
    Silent(String),
}

/// Looks once.
pub(crate) async fn probe(client: &Client) -> Probe {
    match tokio::time::timeout(ANSWER, client.health()).await {
        Ok(Ok(health)) => Probe::Answers(health),
        Ok(Err(Error::NotRunning { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
            Probe::Missing
        }
        Ok(Err(Error::NotRunning { .. })) => Probe::Stale,
        Ok(Err(error)) => Probe::Silent(error.summary()),
        Err(_) => Probe::Silent(format!("no answer within {} s", ANSWER.as_secs())),
    }
}

/// The gateway's address, when the server tells one.
pub(crate) async fn gateway(client: &Client) -> Option<String> {
    let call = client.call::<ServiceListMethod>(NoParams {});
    tokio::time::timeout(ANSWER, call).await.ok()?.ok()?.gateway
}
