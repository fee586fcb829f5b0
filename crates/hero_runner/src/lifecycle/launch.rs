//! Waiting until a program that was started answers.

use std::time::{Duration, Instant};

use api::stats::Health;
use client::Client;

use super::daemon::Daemon;
use super::zinit::Zinit;
use super::{Probe, probe};
use crate::failure::advise;

/// How long a program that lost to another one that starts at the same time waits for that one.
const RIVAL: Duration = Duration::from_secs(10);
const STEP_MIN: Duration = Duration::from_millis(10);
pub(super) const STEP_MAX: Duration = Duration::from_millis(200);

/// Which way a program was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Already,
    Directly,
    Zinit,
}

impl Way {
    /// Who started it now, as JSON says it.
    pub(super) fn started_by(self) -> Option<&'static str> {
        match self {
            Self::Already => None,
            Self::Directly => Some("hero_runner"),
            Self::Zinit => Some("zinit"),
        }
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Already => "already running",
            Self::Directly => "started directly",
            Self::Zinit => "started by zinit",
        }
    }
}

/// What is started, and where it will answer.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    /// The program's name.
    pub(super) name: &'static str,
    /// What it is called in messages.
    pub(super) called: &'static str,
    /// Its socket.
    pub(super) client: &'a Client,
    /// How long it may take until it answers.
    pub(super) deadline: Duration,
    /// How to see what it says when it does not.
    pub(super) hint: &'static str,
}

impl Launch<'_> {
    /// Waits until it answers; none when the time ran out or `is_over` says that nothing is to be hoped for.
    async fn until_answer(
        &self,
        deadline: Duration,
        mut is_over: impl AsyncFnMut() -> bool,
    ) -> Option<Health> {
        let begun = Instant::now();
        let mut step = STEP_MIN;
        while begun.elapsed() < deadline {
            if let Probe::Answers(health) = probe(self.client).await {
                return Some(health);
            }
            if is_over().await {
                return None;
            }
            tokio::time::sleep(step).await;
            step = (step * 2).min(STEP_MAX);
        }
        None
    }

    /// Waits for a child of ours.
    pub(super) async fn directly(&self, mut daemon: Daemon) -> anyhow::Result<(Health, Way)> {
        let mut ended = None;
        let health = self
            .until_answer(self.deadline, async || {
                ended = daemon.child.try_wait().ok().flatten();
                ended.is_some()
            })
            .await;
        if let Some(health) = health {
            return Ok((health, Way::Directly));
        }
        let called = self.called;
        let log = daemon.log().display().to_string();
        let Some(status) = ended else {
            // Left alone it would come up some time later, after we said that it did not.
            let _ = daemon.child.kill().and_then(|()| daemon.child.wait());
            let why = format!("{called} did not answer within {} s and was ended", self.deadline.as_secs());
            return Err(advise(why, format!("{log} says more")));
        };
        // Two that start at once are told apart by their lock; the one that lost only has to wait.
        if status.code() != Some(2)
            && let Some(health) = self.until_answer(self.rival_patience(&daemon), async || false).await
        {
            return Ok((health, Way::Already));
        }
        Err(advise(
            format!("{called} ended at once ({status}){}", indented(&daemon.log_tail())),
            format!("{log} says more"),
        ))
    }

    /// How long to wait for another one that may be starting: only where the log speaks of one is it worth long.
    fn rival_patience(&self, daemon: &Daemon) -> Duration {
        let spoken_of = daemon.log_tail().contains(&format!("another {}", self.name));
        if spoken_of { RIVAL } else { Duration::from_millis(500) }
    }

    /// Waits for what zinit was told to start.
    pub(super) async fn by_zinit(&self, zinit: &Zinit) -> anyhow::Result<Health> {
        let mut failed = None;
        let health = self
            .until_answer(self.deadline, async || {
                failed = zinit.failure(self.name).await;
                failed.is_some()
            })
            .await;
        if let Some(health) = health {
            return Ok(health);
        }
        let why = failed.unwrap_or_else(|| format!("no answer within {} s", self.deadline.as_secs()));
        let log = zinit.log_tail(self.name).await;
        // What does not start is not left to be started again and again.
        let _ = zinit.forget(self.name, Duration::from_secs(5)).await;
        let message = format!("{} did not start under zinit: {why}{}", self.called, indented(&log));
        Err(advise(message, self.hint))
    }
}

fn indented(log: &str) -> String {
    log.lines().map(|line| format!("\n  | {}", crate::text::plain(line))).collect()
}
