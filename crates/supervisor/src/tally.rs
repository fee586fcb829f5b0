//! What the sessions of each module took: how many ended in which way, how long they ran, how much memory they had.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use api::session::SessionInfo;
use api::stats::{DURATIONS_MS, ModuleStats, duration_bucket};

/// How many modules are told apart; what comes beyond is counted as [`OTHERS`], so that modules that are named by path or
/// digest cannot grow this without end.
const MAX_MODULES: usize = 256;
const OTHERS: &str = "(others)";

/// Throughput is counted over so much time, in steps of a second.
const WINDOW: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Tally {
    modules: BTreeMap<String, Module>,
}

#[derive(Debug, Default)]
struct Module {
    stats: ModuleStats,
    /// Seconds with their number of ends, the newest last.
    recent: VecDeque<(Instant, u64)>,
}

impl Tally {
    /// A session has ended.
    pub(crate) fn ended(&mut self, info: &SessionInfo, now: Instant) {
        let Some(outcome) = &info.outcome else { return };
        let name = match self.modules.contains_key(&info.module) || self.modules.len() < MAX_MODULES {
            true => info.module.as_str(),
            false => OTHERS,
        };
        let module = self.modules.entry(name.to_owned()).or_default();
        let stats = &mut module.stats;
        *stats.outcomes.entry(outcome.name().to_owned()).or_default() += 1;
        stats.cpu_ms_total += info.cpu_ms.unwrap_or_default();
        stats.max_rss_kb = stats.max_rss_kb.max(info.max_rss_kb.unwrap_or_default());
        if let Some(load) = info.load_ms {
            stats.loads_total += 1;
            stats.load_us_total += load.micros;
        }
        if let Some(ran) = info.duration_ms {
            stats.runs_total += 1;
            stats.run_us_total += ran.micros;
            stats.run_us_max = stats.run_us_max.max(ran.micros);
            stats.durations.resize(DURATIONS_MS.len() + 1, 0);
            stats.durations[duration_bucket(ran.micros)] += 1;
        }
        match module.recent.back_mut() {
            Some((begun, count)) if now.duration_since(*begun) < Duration::from_secs(1) => *count += 1,
            _ => module.recent.push_back((now, 1)),
        }
        module.forget(now);
    }

    /// What is known by now, by module.
    pub(crate) fn show(&mut self, now: Instant) -> Vec<ModuleStats> {
        let show = |(name, module): (&String, &mut Module)| {
            module.forget(now);
            let ends: u64 = module.recent.iter().map(|(_, count)| count).sum();
            ModuleStats { module: name.clone(), ended_last_minute: ends, ..module.stats.clone() }
        };
        self.modules.iter_mut().map(show).collect()
    }
}

impl Module {
    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(begun, _)| now.duration_since(*begun) >= WINDOW) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use api::Outcome;
    use api::session::Millis;

    use super::*;

    fn ended(module: &str, code: i32, micros: u64) -> SessionInfo {
        let outcome = Outcome::Exited { code };
        let text = serde_json::json!({
            "session_id": "ses-1", "module": module, "digest": "sha256:0", "state": outcome.state(), "ready": false,
            "outcome": outcome, "args": [], "labels": {}, "created_at": 1, "limits": {}, "log_next_seq": 0,
            "log_dropped": 0, "max_rss_kb": 100, "cpu_ms": 2
        });
        let mut info: SessionInfo = serde_json::from_value(text).unwrap();
        info.duration_ms = Some(Millis { micros });
        info
    }

    #[test]
    fn ends_are_counted_by_module() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        tally.ended(&ended("a", 0, 900), start);
        tally.ended(&ended("a", 1, 20_000), start);
        tally.ended(&ended("b", 0, 1), start);
        let shown = tally.show(start);
        assert_eq!(shown.len(), 2);
        let a = &shown[0];
        assert_eq!((a.module.as_str(), a.outcomes["exited"], a.runs_total), ("a", 2, 2));
        assert_eq!((a.run_us_total, a.run_us_max, a.cpu_ms_total, a.max_rss_kb), (20_900, 20_000, 4, 100));
        assert_eq!(a.durations.iter().sum::<u64>(), 2);
        assert_eq!(a.durations[0], 1, "0.9 ms is in the first bucket, up to {} ms", DURATIONS_MS[0]);
        assert_eq!(a.ended_last_minute, 2);
        assert_eq!(tally.show(start + WINDOW)[0].ended_last_minute, 0);
    }

    #[test]
    fn the_number_of_modules_has_a_bound() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        for no in 0..MAX_MODULES + 50 {
            tally.ended(&ended(&format!("/modules/{no}.wasm"), 0, 1), start);
        }
        let shown = tally.show(start);
        assert_eq!(shown.len(), MAX_MODULES + 1);
        assert_eq!(shown[0].module, OTHERS);
        assert_eq!(shown[0].outcomes["exited"], 50);
    }
}
