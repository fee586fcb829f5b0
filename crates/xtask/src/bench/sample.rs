//! Samples and what is told of them.

use std::fmt;

use super::rounds::random;

/// Values of one block: microseconds, or one rate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value below which this share of the sample lies (nearest rank).
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn p50(&self) -> f64 {
        self.quantile(0.50)
    }
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self(vec![value])
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// What one contender did: a sample for each round that counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(pub(crate) Vec<Sample>);

impl Series {
    fn medians(&self) -> Sample {
        self.0.iter().map(Sample::p50).collect()
    }

    /// The median of the rounds' medians.
    pub(crate) fn p50(&self) -> f64 {
        self.medians().p50()
    }

    /// Of the values of all rounds together.
    pub(crate) fn p99(&self) -> f64 {
        self.0.iter().flat_map(|sample| sample.0.iter().copied()).collect::<Sample>().quantile(0.99)
    }

    /// This over the other, formed inside of each round.
    pub(crate) fn over(&self, other: &Self) -> Ratio {
        let ratios: Vec<f64> =
            self.0.iter().zip(&other.0).map(|(ours, its)| ours.p50() / its.p50()).collect();
        // A bootstrap: medians of rounds that are drawn anew.
        let drawn: Sample = (0..999)
            .map(|_| {
                let pick = |_: &f64| ratios[random(ratios.len() as u64) as usize];
                ratios.iter().map(pick).collect::<Sample>().p50()
            })
            .collect();
        let median = ratios.iter().copied().collect::<Sample>().p50();
        Ratio { median, low: drawn.quantile(0.025), high: drawn.quantile(0.975) }
    }
}

/// The median of the rounds' ratios, and the interval that holds it with 95 percent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    low: f64,
    high: f64,
}

/// As a decimal number; with `{:#}` what is below one shows as `1/x`.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, low, high } = self;
        if f.alternate() && *median < 1.0 {
            return write!(f, "1/{:.2} ({:.2}-{:.2})", 1.0 / median, 1.0 / high, 1.0 / low);
        }
        let digits = if *median < 0.1 { 4 } else { 2 };
        write!(f, "{median:.digits$} ({low:.digits$}-{high:.digits$})")
    }
}
