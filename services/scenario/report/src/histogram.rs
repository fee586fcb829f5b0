//! A histogram whose buckets grow with the value: each is at most 1/128 of it wide, so that the middle is off by
//! less than half a percent. Adding two is adding their buckets.

use serde::{Deserialize, Serialize};

/// Each power of two has `1 << BITS` buckets.
const BITS: u32 = 7;
const LINEAR: u64 = 1 << BITS;
/// The index of the largest number's bucket, and one.
const BUCKETS: usize = ((64 - BITS as usize) + 1) << BITS;

/// Counts of numbers by size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Sparse", try_from = "Sparse")]
pub struct Histogram {
    /// As long as the largest number needs.
    counts: Vec<u64>,
    total: u64,
    sum: u64,
    max: u64,
}

impl Histogram {
    /// Counts a number.
    pub fn record(&mut self, value: u64) {
        self.add(bucket(value), 1);
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    fn add(&mut self, bucket: usize, count: u64) {
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        if let Some(slot) = self.counts.get_mut(bucket) {
            *slot = slot.saturating_add(count);
            self.total = self.total.saturating_add(count);
        }
    }

    /// Adds all that another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in other.filled() {
            self.add(bucket, count);
        }
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How many numbers were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The sum of all numbers, exact.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The largest number, exact.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The average; 0 of none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.sum as f64 / self.total as f64 }
    }

    /// The number that so many percent of all do not exceed; 0 of none.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> u64 {
        let rank = (percent / 100.0 * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.filled() {
            seen += count;
            if seen >= rank {
                return middle(bucket).min(self.max);
            }
        }
        self.max
    }

    /// The buckets that are not empty, with their counts.
    pub fn filled(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// The histogram of these buckets; none if there is no such bucket.
    #[must_use]
    pub fn from_buckets(buckets: impl IntoIterator<Item = (u32, u64)>, sum: u64, max: u64) -> Option<Self> {
        let mut histogram = Self { sum, max, ..Self::default() };
        for (bucket, count) in buckets {
            let bucket = usize::try_from(bucket).ok().filter(|bucket| *bucket < BUCKETS)?;
            histogram.add(bucket, count);
        }
        Some(histogram)
    }
}

/// The bucket of a number. Numbers below `LINEAR` have one each.
fn bucket(value: u64) -> usize {
    if value < LINEAR {
        return value as usize;
    }
    let shift = value.ilog2() - BITS;
    (((shift + 1) as usize) << BITS) + ((value >> shift) - LINEAR) as usize
}

/// A number in the middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let row = (bucket >> BITS) as u32;
    if row == 0 {
        return bucket as u64;
    }
    let column = bucket as u64 & (LINEAR - 1);
    let width = 1u64 << (row - 1);
    (LINEAR + column) * width + width / 2
}

/// How it is written: most buckets are empty.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sparse {
    buckets: Vec<(u32, u64)>,
    sum_ns: u64,
    max_ns: u64,
}

impl From<Histogram> for Sparse {
    fn from(histogram: Histogram) -> Self {
        let buckets = histogram.filled().map(|(bucket, count)| (bucket as u32, count)).collect();
        Self { buckets, sum_ns: histogram.sum, max_ns: histogram.max }
    }
}

impl TryFrom<Sparse> for Histogram {
    type Error = String;

    fn try_from(sparse: Sparse) -> Result<Self, String> {
        Self::from_buckets(sparse.buckets, sparse.sum_ns, sparse.max_ns)
            .ok_or_else(|| format!("a bucket of a histogram is below {BUCKETS}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_lie_side_by_side() {
        let mut last = 0;
        for value in (0..100_000).chain((17..63).flat_map(|shift| [(1u64 << shift) - 1, 1 << shift])) {
            let now = bucket(value);
            assert!(now >= last, "{value}");
            last = now;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert!((1..2000).all(|value| bucket(value) - bucket(value - 1) <= 1));
    }

    #[test]
    fn the_middle_is_close() {
        for value in (0..64).flat_map(|shift| [1u64 << shift, (1 << shift) + (1 << shift) / 3]) {
            let middle = middle(bucket(value));
            assert_eq!(bucket(middle), bucket(value));
            assert!(middle.abs_diff(value) as f64 <= value as f64 / 128.0, "{value} {middle}");
        }
    }

    #[test]
    fn percentiles_of_a_few() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(99.0), 0);
        histogram.record(7);
        assert_eq!((histogram.percentile(0.0), histogram.percentile(100.0)), (7, 7));
        histogram.record(1_000_000);
        assert_eq!(histogram.percentile(50.0), 7);
        assert_eq!((histogram.percentile(51.0), histogram.max()), (1_000_000, 1_000_000));
    }

    #[test]
    fn a_bucket_that_cannot_be_is_refused() {
        let wrong = r#"{"buckets":[[4000000000,1]],"sum_ns":1,"max_ns":1}"#;
        assert!(serde_json::from_str::<Histogram>(wrong).is_err());
    }
}
