//! The samples that are kept: the newest ones in fine steps, and a longer time in coarser ones.

use std::collections::VecDeque;

use api::error::{Error, ErrorCode};
use api::samples::{KEPT, STEPS_MS, StatsHistory, StatsSample, StatsSamples};

use super::histogram::Counts;
use crate::Result;

/// How many fine steps are a coarse one.
const FINE_IN_COARSE: u64 = STEPS_MS[1] / STEPS_MS[0];

/// Samples of one step, oldest first.
#[derive(Debug)]
struct Ring {
    samples: VecDeque<StatsSample>,
    kept: usize,
    /// When the newest sample was taken that is no longer here.
    gone_ms: u64,
}

impl Ring {
    fn new(kept: usize) -> Self {
        Self { samples: VecDeque::new(), kept, gone_ms: 0 }
    }

    fn push(&mut self, sample: StatsSample) {
        if self.samples.len() >= self.kept
            && let Some(gone) = self.samples.pop_front()
        {
            self.gone_ms = gone.ts_ms;
        }
        self.samples.push_back(sample);
    }
}

/// All that is kept.
#[derive(Debug)]
pub(crate) struct Rings {
    rings: [Ring; 2],
    /// The coarse step under way: its counts, its times, and how many fine steps are in it.
    sum: (StatsSample, Counts, u64),
}

impl Default for Rings {
    fn default() -> Self {
        Self { rings: KEPT.map(Ring::new), sum: Default::default() }
    }
}

impl Rings {
    /// Takes a fine step's sample, with the times of its starts.
    pub(super) fn push(&mut self, mut sample: StatsSample, starts: &Counts) {
        percentiles(&mut sample, starts);
        let (sum, all, steps) = &mut self.sum;
        all.add(starts);
        *steps += 1;
        let mut coarse = StatsSample {
            started: sum.started + sample.started,
            ended: sum.ended + sample.ended,
            failed: sum.failed + sample.failed,
            cpu_ms: sum.cpu_ms + sample.cpu_ms,
            log_lines: sum.log_lines + sample.log_lines,
            log_bytes: sum.log_bytes + sample.log_bytes,
            log_dropped: sum.log_dropped + sample.log_dropped,
            ..sample
        };
        self.rings[0].push(sample);
        if *steps < FINE_IN_COARSE {
            *sum = coarse;
            return;
        }
        percentiles(&mut coarse, all);
        self.sum = Default::default();
        self.rings[1].push(coarse);
    }

    /// Answers `stats_history`.
    pub(crate) fn show(&self, request: &StatsHistory) -> Result<StatsSamples> {
        let after = request.after_ms.unwrap_or_default();
        let at = match request.step_ms {
            Some(step) => STEPS_MS.iter().position(|known| *known == step).ok_or_else(|| {
                let message =
                    format!("step_ms: there are {} and {}, and not {step}", STEPS_MS[0], STEPS_MS[1]);
                Error::new(ErrorCode::InvalidParams, message)
            })?,
            None => usize::from(request.after_ms.is_some_and(|after| after < self.rings[0].gone_ms)),
        };
        let samples = &self.rings[at].samples;
        let first = samples.partition_point(|sample| sample.ts_ms <= after);
        let limit = request.limit.map_or(usize::MAX, |limit| limit.max(1) as usize);
        let first = first.max(samples.len().saturating_sub(limit));
        Ok(StatsSamples { step_ms: STEPS_MS[at], samples: samples.range(first..).cloned().collect() })
    }
}

fn percentiles(sample: &mut StatsSample, starts: &Counts) {
    (sample.start_us_p50, sample.start_us_p99) = (starts.percentile(50), starts.percentile(99));
}

#[cfg(test)]
mod tests {
    use super::super::histogram::Histogram;
    use super::*;

    fn filled(seconds: u64) -> Rings {
        let (mut rings, histogram) = (Rings::default(), Histogram::default());
        for second in 1..=seconds {
            histogram.note(second);
            let sample =
                StatsSample { ts_ms: second * 1000, started: 2, running: second, ..StatsSample::default() };
            rings.push(sample, &histogram.take());
        }
        rings
    }

    fn ask(
        rings: &Rings,
        after_ms: Option<u64>,
        limit: Option<u32>,
        step_ms: Option<u64>,
    ) -> (u64, Vec<u64>) {
        let shown = rings.show(&StatsHistory { after_ms, limit, step_ms }).unwrap();
        (shown.step_ms, shown.samples.iter().map(|sample| sample.ts_ms / 1000).collect())
    }

    #[test]
    fn new_samples_come_after_those_that_were_seen() {
        let rings = filled(20);
        assert_eq!(ask(&rings, None, None, None), (1000, (1..=20).collect()));
        assert_eq!(ask(&rings, Some(0), None, None), (1000, (1..=20).collect()));
        assert_eq!(ask(&rings, Some(18_000), None, None), (1000, vec![19, 20]));
        assert_eq!(ask(&rings, Some(20_000), None, None), (1000, vec![]));
        assert_eq!(ask(&rings, Some(0), Some(3), None), (1000, vec![18, 19, 20]));
        assert_eq!(ask(&rings, None, Some(0), None), (1000, vec![20]));
        assert_eq!(ask(&rings, None, None, Some(15_000)), (15_000, vec![15]));
    }

    #[test]
    fn what_the_fine_steps_no_longer_have_is_in_the_coarse_ones() {
        let rings = filled(1000);
        assert_eq!(ask(&rings, None, None, None), (1000, (101..=1000).collect()));
        assert_eq!(ask(&rings, Some(100_000), None, None).0, 1000);
        let (step, found) = ask(&rings, Some(99_000), None, None);
        assert_eq!((step, found[0], found.len()), (15_000, 105, 60));
        let rings = filled(7 * 3600);
        assert_eq!(ask(&rings, Some(0), None, None).1.len(), KEPT[1]);
        assert_eq!(rings.rings[0].samples.len(), KEPT[0]);
    }

    #[test]
    fn a_coarse_step_has_the_counts_of_all_and_the_state_at_its_end() {
        let shown =
            filled(30).show(&StatsHistory { step_ms: Some(15_000), ..StatsHistory::default() }).unwrap();
        let last = &shown.samples[1];
        assert_eq!((last.ts_ms, last.started, last.running), (30_000, 30, 30));
        assert_eq!((last.start_us_p50, last.start_us_p99), (Some(23), Some(30)));
    }

    #[test]
    fn a_step_that_there_is_not_is_refused() {
        let error =
            filled(1).show(&StatsHistory { step_ms: Some(7), ..StatsHistory::default() }).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidParams);
    }
}
