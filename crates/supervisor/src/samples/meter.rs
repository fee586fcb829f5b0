//! What processes use: their CPU time from one step to the next, and their memory.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::proc::{cpu_us, pss_kb, rss_kb};

/// How long the times of sessions may take to be read at each step, and as long again their sizes. Where more sessions run
/// than can be read in it, the others keep what was read of them before; what they used comes with a later step.
const BUDGET: Duration = Duration::from_millis(2);

/// Who lives at the end of a step.
#[derive(Debug, Default)]
pub(super) struct Living {
    /// The server.
    pub(super) own: u32,
    /// The zygotes.
    pub(super) zygotes: Vec<u32>,
    /// The templates.
    pub(super) templates: Vec<u32>,
    /// What the templates and their parked workers weigh, in KiB.
    pub(super) templates_kb: u64,
    /// The processes of sessions that run.
    pub(super) sessions: Vec<u32>,
    /// CPU time of all processes of sessions that have ended so far, in microseconds.
    pub(super) ended_us: u64,
}

/// What was used within a step.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) cpu_us: u64,
    pub(super) own_kb: u64,
    pub(super) memory_kb: u64,
}

/// What was read of processes before.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// CPU time of the server, the zygotes and the templates, in microseconds.
    lasting: HashMap<u32, u64>,
    sessions: HashMap<u32, Known>,
    ended_us: u64,
    /// What sessions that went away in the step before are known to have used, where their end was not told yet.
    due_us: u64,
    /// The process that was read last, for times and for sizes.
    read: [u32; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    cpu_us: u64,
    pss_kb: Option<u64>,
}

impl Meter {
    /// Reads what the living have used since this was asked last. It takes some milliseconds at most.
    pub(super) fn read(&mut self, mut living: Living) -> Used {
        living.sessions.sort_unstable();
        let mut used = self.lasting(&living);
        used.cpu_us += self.gone(&living);
        used.cpu_us += self.running(&living.sessions);
        used.own_kb = rss_kb(living.own).unwrap_or_default();
        let zygotes: u64 = living.zygotes.iter().filter_map(|pid| rss_kb(*pid)).sum();
        used.memory_kb = used.own_kb + zygotes + living.templates_kb + self.weight_kb(&living.sessions);
        used
    }

    fn lasting(&mut self, living: &Living) -> Used {
        let all = std::iter::once(&living.own).chain(&living.zygotes).chain(&living.templates);
        let now: HashMap<u32, u64> = all.filter_map(|pid| Some((*pid, cpu_us(*pid)?))).collect();
        let before = |pid| self.lasting.get(pid).copied().unwrap_or_default();
        let cpu_us = now.iter().map(|(pid, us)| us.saturating_sub(before(pid))).sum();
        self.lasting = now;
        Used { cpu_us, ..Used::default() }
    }

    /// What sessions that have ended used beyond what is known of them already.
    fn gone(&mut self, living: &Living) -> u64 {
        let mut gone = 0;
        self.sessions.retain(|pid, known| {
            let lives = living.sessions.binary_search(pid).is_ok();
            gone += if lives { 0 } else { known.cpu_us };
            lives
        });
        let ended = living.ended_us - std::mem::replace(&mut self.ended_us, living.ended_us);
        let due = self.due_us + gone;
        // A worker that is lost has no end that is told: it is waited for through one step.
        self.due_us = gone.min(due.saturating_sub(ended));
        ended.saturating_sub(due)
    }

    fn running(&mut self, pids: &[u32]) -> u64 {
        let mut used = 0;
        self.each(0, pids, |known, pid| {
            let Some(now) = cpu_us(pid) else { return };
            used += now.saturating_sub(known.cpu_us);
            known.cpu_us = known.cpu_us.max(now);
        });
        used
    }

    /// What sessions weigh; one that was not weighed yet as much as the others on average.
    fn weight_kb(&mut self, pids: &[u32]) -> u64 {
        self.each(1, pids, |known, pid| known.pss_kb = pss_kb(pid).or(known.pss_kb));
        let known: Vec<u64> = self.sessions.values().filter_map(|known| known.pss_kb).collect();
        let sum: u64 = known.iter().sum();
        sum * pids.len() as u64 / (known.len() as u64).max(1)
    }

    /// Looks at as many of the processes as there is time for, from the one on that was looked at last.
    fn each(&mut self, what: usize, pids: &[u32], mut look: impl FnMut(&mut Known, u32)) {
        let begun = Instant::now();
        let (before, after) = pids.split_at(pids.partition_point(|pid| *pid <= self.read[what]));
        for pid in after.iter().chain(before) {
            look(self.sessions.entry(*pid).or_default(), *pid);
            self.read[what] = *pid;
            if begun.elapsed() > BUDGET {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No process has these.
    const NOBODY: [u32; 2] = [(1 << 30) + 1, (1 << 30) + 2];

    fn living(sessions: &[u32], ended_us: u64) -> Living {
        Living { own: 1 << 30, sessions: sessions.to_vec(), ended_us, ..Living::default() }
    }

    fn known(meter: &mut Meter, pid: u32, cpu_us: u64) {
        meter.sessions.insert(pid, Known { cpu_us, pss_kb: Some(100) });
    }

    #[test]
    fn what_a_session_used_is_counted_once() {
        let mut meter = Meter::default();
        known(&mut meter, NOBODY[0], 700);
        // It ended with 1000 in all, another one came and went unseen with 50.
        assert_eq!(meter.read(living(&[], 1050)).cpu_us, 350);
        assert_eq!(meter.read(living(&[], 1050)).cpu_us, 0);
    }

    #[test]
    fn an_end_that_is_told_a_step_later_is_counted_once() {
        let mut meter = Meter::default();
        known(&mut meter, NOBODY[0], 700);
        assert_eq!(meter.read(living(&[NOBODY[1]], 0)).cpu_us, 0);
        assert_eq!(meter.read(living(&[NOBODY[1]], 1000)).cpu_us, 300);
    }

    #[test]
    fn an_end_that_is_never_told_is_not_waited_for() {
        let mut meter = Meter::default();
        known(&mut meter, NOBODY[0], 700);
        assert_eq!(meter.read(living(&[], 0)).cpu_us, 0);
        assert_eq!(meter.read(living(&[], 0)).cpu_us, 0);
        assert_eq!(meter.read(living(&[], 1000)).cpu_us, 1000);
    }

    #[test]
    fn sessions_that_were_not_weighed_weigh_as_the_others() {
        let mut meter = Meter::default();
        known(&mut meter, NOBODY[0], 0);
        assert_eq!(meter.read(living(&NOBODY, 0)).memory_kb, 200);
        assert_eq!(Meter::default().read(living(&NOBODY, 0)).memory_kb, 0);
    }

    #[test]
    fn a_process_that_lives_is_read() {
        let own = std::process::id();
        let begun = Instant::now();
        while cpu_us(own).is_none_or(|us| us < 50_000) && begun.elapsed() < Duration::from_secs(30) {
            std::hint::spin_loop();
        }
        let mut meter = Meter::default();
        let used = meter.read(Living { own: 1 << 30, sessions: vec![own], ..Living::default() });
        assert!(used.cpu_us >= 50_000 && used.memory_kb > 0 && used.own_kb == 0, "{used:?}");
    }
}
