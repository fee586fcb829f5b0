//! Times in buckets that grow with them: sixteen for each power of two, so that each is known to about 3 %.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The buckets of one power of two, as a power of two.
const FINE: u32 = 4;

/// Times from here on are in the last bucket: 2^36 µs are 19 hours.
const LAST: u32 = 36;

const BUCKETS: usize = ((LAST - FINE + 1) << FINE) as usize;

/// How often each time was, in buckets.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Box<[AtomicU32]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: (0..BUCKETS).map(|_| AtomicU32::new(0)).collect() }
    }
}

impl Histogram {
    /// Notes a time. It is on the path of every session.
    pub(crate) fn note(&self, us: u64) {
        self.counts[bucket(us)].fetch_add(1, Relaxed);
    }

    /// What was noted since the last time that this was asked.
    pub(super) fn take(&self) -> Counts {
        Counts(self.counts.iter().map(|count| count.swap(0, Relaxed)).collect())
    }
}

/// How often each time was within some step.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts(Vec<u32>);

impl Counts {
    pub(super) fn add(&mut self, more: &Self) {
        self.0.resize(BUCKETS, 0);
        for (count, more) in self.0.iter_mut().zip(&more.0) {
            *count = count.saturating_add(*more);
        }
    }

    /// The time that so many of a hundred did not exceed, in microseconds.
    pub(super) fn percentile(&self, of_hundred: u64) -> Option<u64> {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let wanted = (all * of_hundred).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.0.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        });
        found.map(middle)
    }
}

fn bucket(us: u64) -> usize {
    let us = us.min((1 << LAST) - 1);
    // Below, a bucket for each microsecond.
    let shift = us.checked_ilog2().unwrap_or_default().saturating_sub(FINE);
    ((u64::from(shift) << FINE) + (us >> shift)) as usize
}

/// The middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let shift = (bucket >> FINE).saturating_sub(1);
    let low = (bucket - (shift << FINE)) as u64;
    (low << shift) + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_within_a_thirtieth_of_what_is_in_it() {
        let mut us = 0;
        while us < 1 << LAST {
            let found = middle(bucket(us));
            assert!(found.abs_diff(us) * 30 <= us, "{us} became {found}");
            us += 1 + us / 57;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket((1 << LAST) - 1), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_what_was_noted() {
        let histogram = Histogram::default();
        assert_eq!(histogram.take().percentile(50), None);
        for us in 1..=1000 {
            histogram.note(us);
        }
        let mut counts = histogram.take();
        let near = |found: Option<u64>, wanted: u64| {
            assert!(found.is_some_and(|found| found.abs_diff(wanted) * 30 <= wanted), "{found:?} {wanted}");
        };
        near(counts.percentile(50), 500);
        near(counts.percentile(99), 990);
        histogram.note(7);
        let one = histogram.take();
        assert_eq!((one.percentile(50), one.percentile(99)), (Some(7), Some(7)));
        for _ in 0..10 {
            counts.add(&one);
        }
        near(counts.percentile(50), 490);
    }
}
