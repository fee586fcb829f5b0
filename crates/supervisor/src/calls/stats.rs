//! `stats` and `health`

use std::sync::atomic::Ordering::Relaxed;

use api::samples::{StatsHistory, StatsSamples};
use api::stats::{Health, MemoryStats, ProcessMemory, Stats};

use crate::core::ROOT;
use crate::proc::{pss_kb, rss_kb};
use crate::read::blocking;
use crate::session::lock;
use crate::{Result, Supervisor};

/// How many sessions `stats` weighs at most. It takes about 0.1 ms for each.
const MAX_WEIGHED: usize = 32;

impl Supervisor {
    /// Numbers about the server.
    pub async fn stats(&self) -> Stats {
        let shared = &self.shared;
        let history = shared.history.stats();
        let counters = &shared.counters;
        let server_pid = std::process::id();
        let (zygote_pid, engine, [running, queued, parked]) = {
            let core = lock(&shared.core);
            let zygote = core.stems.get(&ROOT).and_then(|root| root.zygote.as_ref());
            (zygote.map(|(_, pid)| *pid), core.engine.clone(), core.counts().map(|count| count as u64))
        };
        let memory = self.memory().await;
        Stats {
            server_pid,
            zygote_pid,
            zygote_restarts: counters.zygote_restarts.load(Relaxed),
            uptime_ms: shared.started.elapsed().as_millis() as u64,
            running,
            queued,
            parked,
            draining: shared.draining.load(Relaxed) || shared.closed.load(Relaxed),
            max_sessions: shared.config.pool.max_sessions as u64,
            max_queue: shared.config.pool.max_queue as u64,
            sessions_total: counters.sessions.load(Relaxed),
            rejected_total: counters.rejected.load(Relaxed),
            outcomes: lock(&counters.outcomes)
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
            log_lines_total: counters.lines.load(Relaxed),
            log_bytes_total: counters.bytes.load(Relaxed),
            log_dropped_total: counters.dropped.load(Relaxed) + history.lines_retired + history.lines_lost,
            history_ok: history.ok,
            history_bytes: shared.history.bytes(),
            server_rss_kb: rss_kb(server_pid).unwrap_or_default(),
            zygote_rss_kb: zygote_pid.and_then(rss_kb),
            engine,
            memory,
            // Whoever has services adds theirs.
            services: std::collections::BTreeMap::new(),
            gateway: api::stats::GatewayStats::default(),
            modules: lock(&counters.tally).show(std::time::Instant::now()),
        }
    }

    /// What was done over time.
    ///
    /// # Errors
    /// When there are no samples in such steps.
    pub fn stats_history(&self, request: &StatsHistory) -> Result<StatsSamples> {
        lock(&self.shared.samples).show(request)
    }

    /// How many sessions run, how many wait, and how many workers stand ready.
    #[must_use]
    pub fn counts(&self) -> [u64; 3] {
        lock(&self.shared.core).counts().map(|count| count as u64)
    }

    /// What templates weighed when it was looked last, and what the newest sessions weigh now.
    async fn memory(&self) -> MemoryStats {
        let (templates, sessions, evicted) = {
            let core = lock(&self.shared.core);
            let template = |stem: &crate::core::Stem| {
                let made = stem.made.as_ref()?;
                Some(ProcessMemory { name: made.title.clone(), pid: made.pid?, pss_kb: made.pss_kb? })
            };
            let templates: Vec<_> = core.stems.values().filter_map(template).collect();
            let session = |session: &std::sync::Arc<crate::session::Session>| {
                lock(&session.info).child_pid.map(|pid| (session.id.clone(), pid))
            };
            let sessions: Vec<_> =
                core.sessions.values().rev().filter_map(session).take(MAX_WEIGHED).collect();
            (templates, sessions, core.templates.evicted)
        };
        let weigh = move || {
            let weigh = |(name, pid)| Some(ProcessMemory { name, pid, pss_kb: pss_kb(pid)? });
            Ok(sessions.into_iter().filter_map(weigh).collect())
        };
        MemoryStats {
            templates_budget_kb: self.shared.config.templates_memory_kb,
            templates_pss_kb: templates.iter().map(|template| template.pss_kb).sum(),
            templates_evicted_total: evicted,
            templates,
            sessions: blocking(weigh).await.unwrap_or_default(),
        }
    }

    /// Whether all is well, and what is not.
    pub async fn health(&self) -> Health {
        let mut reasons = Vec::new();
        if lock(&self.shared.core).stems.get(&ROOT).is_none_or(|root| root.zygote.is_none()) {
            reasons.push("the zygote is being replaced; sessions wait".to_owned());
        }
        if !self.shared.history.ok() {
            let why = self.shared.history.stats().error.unwrap_or_default();
            reasons.push(format!("the history takes nothing: {why}"));
        }
        if let Some(file) = self.shared.history.quarantined() {
            reasons.push(format!("a damaged history was moved to {}", file.display()));
        }
        reasons.extend(self.shared.modules.problems().iter().cloned());
        let core = lock(&self.shared.core);
        for (name, declared) in &core.templates.declared {
            if let Some(why) = declared.why.as_ref().filter(|_| declared.failures > 0) {
                reasons.push(format!("template {name:?} is not warm: {why}"));
            }
        }
        if self.shared.draining.load(Relaxed) {
            reasons.push("the server is stopping".to_owned());
        } else if self.shared.closed.load(Relaxed) {
            reasons.push(
                "the server is drained: it takes no new session until `hero_runner drain --off`".to_owned(),
            );
        }
        Health {
            status: if reasons.is_empty() { "ok" } else { "degraded" }.to_owned(),
            service: api::SERVICE.to_owned(),
            version: api::VERSION.to_owned(),
            reasons,
        }
    }
}
