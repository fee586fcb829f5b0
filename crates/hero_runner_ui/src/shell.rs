//! What surrounds every page: navigation and the live numbers beside it.

use std::convert::Infallible;

use api::method::{NoParams, StatsHistoryMethod, StatsMethod};
use api::samples::{STEPS_MS, StatsHistory, StatsSample};
use api::stats::Stats;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::app::Shared;
use crate::door::Door;
use crate::server::{self, Failure};
use crate::view::kib;

/// From one look at a page that changes to the next, in milliseconds.
const LIVE_MS: u32 = 2000;
/// Over so many seconds the processor's load is told.
const LAST_S: u32 = 3;

/// One entry of the navigation.
#[derive(Debug)]
pub(crate) struct Tab {
    pub(crate) page: &'static str,
    pub(crate) words: &'static str,
    pub(crate) icon: &'static str,
    /// The letter after `g`.
    pub(crate) key: char,
}

const TABS: [Tab; 9] = [
    Tab { page: "sessions", words: "Sessions", icon: "collection-play", key: 's' },
    Tab { page: "run", words: "Run", icon: "play-circle", key: 'r' },
    Tab { page: "services", words: "Services", icon: "hdd-network", key: 'v' },
    Tab { page: "schedules", words: "Schedules", icon: "clock-history", key: 'c' },
    Tab { page: "modules", words: "Modules", icon: "box-seam", key: 'm' },
    Tab { page: "logs", words: "Logs", icon: "terminal", key: 'l' },
    Tab { page: "stats", words: "Stats", icon: "bar-chart-line", key: 't' },
    Tab { page: "admin", words: "Admin", icon: "sliders", key: 'a' },
    Tab { page: "docs", words: "Docs", icon: "book", key: 'd' },
];

/// Everything around a page.
#[derive(Debug)]
pub(crate) struct Shell {
    /// The page's name, for scripts.
    pub(crate) page: &'static str,
    /// The tab that it belongs to.
    pub(crate) tab: &'static str,
    pub(crate) title: String,
    /// Only what changes is asked for.
    pub(crate) fragment: bool,
    /// From one look to the next, in milliseconds; 0 where nothing changes by itself.
    pub(crate) live_ms: u32,
    /// What stands before the names of scripts and styles.
    pub(crate) assets: String,
    pub(crate) door: &'static str,
    pub(crate) numbers: Option<Numbers>,
}

impl Shell {
    pub(crate) fn tabs(&self) -> &'static [Tab] {
        &TABS
    }

    pub(crate) fn version(&self) -> &'static str {
        api::VERSION
    }

    /// A page that changes only when somebody changes it.
    pub(crate) fn still(self) -> Self {
        Self { live_ms: 0, ..self }
    }
}

/// The numbers of the sidebar.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(crate) parked: u64,
    pub(crate) running: u64,
    pub(crate) max_sessions: u64,
    pub(crate) queued: u64,
    pub(crate) max_queue: u64,
    pub(crate) total: u64,
    pub(crate) memory: String,
    /// In hundredths of a processor, where the server tells it.
    pub(crate) cpu: Option<u64>,
    pub(crate) draining: bool,
    pub(crate) history_ok: bool,
}

impl Numbers {
    fn of(stats: &Stats, last: &[StatsSample]) -> Self {
        let sessions: u64 = stats.memory.sessions.iter().map(|process| process.pss_kb).sum();
        let own = stats.server_rss_kb + stats.zygote_rss_kb.unwrap_or_default();
        let summed = own + stats.memory.templates_pss_kb + sessions;
        let memory_kb = last.last().map_or(summed, |sample| sample.memory_kb);
        let cpu_ms: u64 = last.iter().map(|sample| sample.cpu_ms).sum();
        Self {
            parked: stats.parked,
            running: stats.running,
            max_sessions: stats.max_sessions,
            queued: stats.queued,
            max_queue: stats.max_queue,
            total: stats.sessions_total,
            memory: kib(memory_kb),
            // Samples are a second apart.
            cpu: (cpu_ms / 10).checked_div(last.len() as u64),
            draining: stats.draining,
            history_ok: stats.history_ok,
        }
    }
}

/// A request for a page.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) app: Shared,
    fragment: bool,
    door: Door,
}

impl FromRequestParts<Shared> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Infallible> {
        let fragment = parts.headers.contains_key("x-fragment");
        let door = parts.extensions.get::<Door>().copied().unwrap_or(Door::Unix);
        Ok(Self { app: app.clone(), fragment, door })
    }
}

impl Visit {
    /// What surrounds this page; the server is asked for the numbers.
    pub(crate) async fn shell(
        &self,
        page: &'static str,
        tab: &'static str,
        title: impl Into<String>,
    ) -> Shell {
        let last = StatsHistory { limit: Some(LAST_S), step_ms: Some(STEPS_MS[0]), after_ms: None };
        let (stats, last) =
            tokio::join!(self.ask::<StatsMethod>(NoParams {}), self.ask::<StatsHistoryMethod>(last));
        let last = last.map(|history| history.samples).unwrap_or_default();
        let numbers = stats.ok().map(|stats| Numbers::of(&stats, &last));
        Shell {
            page,
            tab,
            title: title.into(),
            fragment: self.fragment,
            live_ms: LIVE_MS,
            assets: self.app.assets.prefix().to_owned(),
            door: self.door.name(),
            numbers,
        }
    }

    /// Asks the server.
    pub(crate) async fn ask<M: api::Method>(&self, params: M::Params) -> Result<M::Reply, Failure> {
        server::ask::<M>(&self.app.server, params).await
    }
}
