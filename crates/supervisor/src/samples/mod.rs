//! What the server did over time: a sample each second, kept in memory.

mod histogram;
mod meter;
mod rings;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

use api::samples::{STEPS_MS, StatsSample};
use tokio::time::MissedTickBehavior;

pub(crate) use histogram::Histogram;
use meter::{Living, Meter};
pub(crate) use rings::Rings;

use crate::core::{Shared, zygote};
use crate::read::blocking;
use crate::session::{lock, now_ms};

/// What was counted up to a moment: sessions that were accepted, that ended, that failed; lines, their bytes, and those that
/// were dropped.
type Totals = [u64; 6];

/// Takes a sample each second, for as long as the supervisor lives.
pub(crate) async fn run(shared: Weak<Shared>) {
    let mut second = tokio::time::interval(Duration::from_millis(STEPS_MS[0]));
    // A step that was late is followed by a whole one.
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut meter, mut before) = (Meter::default(), Totals::default());
    let mut rest_us = 0;
    // The first one comes at once: what was used until then belongs to no step.
    for begun in std::iter::once(false).chain(std::iter::repeat(true)) {
        second.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        let living = shared.living();
        let read = blocking(move || {
            let used = meter.read(living);
            Ok((used, meter))
        });
        let Ok((used, back)) = read.await else { return };
        meter = back;
        let now = shared.totals();
        let [started, ended, failed, log_lines, log_bytes, log_dropped] =
            std::array::from_fn(|at| now[at].saturating_sub(before[at]));
        before = now;
        let [running, queued, parked] = lock(&shared.core).counts().map(|count| count as u64);
        let starts = shared.counters.starts.take();
        if !begun {
            continue;
        }
        let cpu_us = rest_us + used.cpu_us;
        rest_us = cpu_us % 1000;
        let sample = StatsSample {
            ts_ms: now_ms(),
            started,
            ended,
            failed,
            running,
            queued,
            parked,
            start_us_p50: None,
            start_us_p99: None,
            server_rss_kb: used.own_kb,
            memory_kb: used.memory_kb,
            cpu_ms: cpu_us / 1000,
            log_lines,
            log_bytes,
            log_dropped,
        };
        lock(&shared.samples).push(sample, &starts);
    }
}

impl Shared {
    fn totals(&self) -> Totals {
        let counters = &self.counters;
        let history = self.history.stats();
        [
            counters.sessions.load(Relaxed),
            counters.ended.load(Relaxed),
            counters.failed.load(Relaxed),
            counters.lines.load(Relaxed),
            counters.bytes.load(Relaxed),
            counters.dropped.load(Relaxed) + history.lines_retired + history.lines_lost,
        ]
    }

    fn living(self: &Arc<Self>) -> Living {
        let core = lock(&self.core);
        let mut living = Living { own: std::process::id(), ..Living::default() };
        for (id, stem) in &core.stems {
            let busy = stem.slots.values().filter(|slot| slot.session.is_some());
            living.sessions.extend(busy.map(|slot| slot.pid));
            match (zygote(*id), &stem.zygote, &stem.made) {
                (Some(_), Some((_, pid)), _) => living.zygotes.push(*pid),
                (None, _, Some(made)) => {
                    living.templates.extend(made.pid);
                    living.templates_kb += made.pss_kb.unwrap_or_default();
                }
                _ => {}
            }
        }
        // Under the same lock, so that hardly a session is neither among these nor among those that run.
        living.ended_us = self.counters.cpu_us.load(Relaxed);
        living
    }
}
