//! Rounds: a block of every contender in a shuffled order, so that a machine that is slow for a minute is slow for all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result};

use super::floor::Floor;
use super::sample::{Sample, Series};
use super::{Bench, signals};

/// Sessions, forks or calls in a block.
pub(crate) const BLOCK: usize = 50;

/// A round counts when the canary, a block of forks of a tiny static process, was not slower than this beside its best.
const QUIET: f64 = 1.3;

/// How long one waits before each of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pacing {
    /// One after the other.
    Tight,
    /// 2 to 3 milliseconds apart: what is made ready behind a session's back is ready again.
    Paced,
}

impl Pacing {
    pub(crate) const BOTH: [Self; 2] = [Self::Paced, Self::Tight];

    /// The shortest pause; the longest is half as long again.
    pub(crate) fn micros(self) -> u64 {
        if self == Self::Paced { 2000 } else { 0 }
    }

    pub(crate) fn rest(self) {
        if self == Self::Paced {
            std::thread::sleep(Duration::from_micros(self.micros() + random(self.micros() / 2)));
        }
    }

    pub(crate) fn name(self) -> &'static str {
        if self == Self::Paced { "2-3 ms apart" } else { "back to back" }
    }
}

/// A number below a bound. Its sequence is the same in every run: nothing here needs surprise (splitmix64).
pub(crate) fn random(below: u64) -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bits = STATE.fetch_add(STEP, Relaxed).wrapping_add(STEP);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) % below.max(1)
}

fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        order.swap(at, random(at as u64 + 1) as usize);
    }
    order
}

type Run<'a> = Box<dyn FnMut() -> Result<Vec<Sample>> + 'a>;

/// The contenders, in the order in which they were added.
pub(crate) struct Rounds<'a> {
    bench: &'a Bench,
    contenders: Vec<(Vec<String>, Run<'a>)>,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Self {
        Self { bench, contenders: Vec::new() }
    }

    /// One that measures one thing.
    pub(crate) fn add(&mut self, name: impl Into<String>, mut run: impl FnMut() -> Result<Sample> + 'a) {
        self.contenders.push((vec![name.into()], Box::new(move || Ok(vec![run()?]))));
    }

    /// One that measures several things at once.
    pub(crate) fn add_many(&mut self, names: Vec<String>, run: impl FnMut() -> Result<Vec<Sample>> + 'a) {
        self.contenders.push((names, Box::new(run)));
    }

    /// Runs rounds until enough of them count, or twice as many as have to.
    pub(crate) fn run(mut self) -> Result<Measured> {
        let wanted = self.bench.options.rounds;
        let mut canary = Floor::start(&self.bench.floors.fixed, &["fork"])?;
        // Caches, templates and pools; what is measured here does not count.
        self.round(&mut canary)?;
        let mut rounds: Vec<(f64, Vec<Vec<Sample>>)> = Vec::new();
        let quiet = |rounds: &[(f64, _)]| {
            let best = rounds.iter().map(|round| round.0).fold(f64::INFINITY, f64::min);
            rounds.iter().filter(|round| round.0 <= best * QUIET).count()
        };
        while quiet(&rounds) < wanted && rounds.len() < 2 * wanted {
            rounds.push(self.round(&mut canary)?);
            let best = rounds.iter().map(|round| round.0).fold(f64::INFINITY, f64::min);
            let last = rounds.last().map_or(f64::NAN, |round| round.0);
            eprintln!("round {}: canary {last:.0} µs, its best {best:.0} µs", rounds.len());
        }
        let best = rounds.iter().map(|round| round.0).fold(f64::INFINITY, f64::min);
        let tried = rounds.len();
        rounds.retain(|round| round.0 <= best * QUIET);
        let mut series: BTreeMap<String, Series> = BTreeMap::new();
        for (_, samples) in &rounds {
            for ((names, _), samples) in self.contenders.iter().zip(samples) {
                for (name, sample) in names.iter().zip(samples) {
                    series.entry(name.clone()).or_default().0.push(sample.clone());
                }
            }
        }
        Ok(Measured { series, counted: rounds.len(), dropped: tried - rounds.len(), best })
    }

    /// The worse of the canary's two blocks, and the samples of each contender.
    fn round(&mut self, canary: &mut Floor) -> Result<(f64, Vec<Vec<Sample>>)> {
        let before = canary.block(Pacing::Tight)?.p50();
        let mut samples = vec![Vec::new(); self.contenders.len()];
        for at in shuffled(self.contenders.len()) {
            signals::check()?;
            let (names, run) = &mut self.contenders[at];
            samples[at] = run().with_context(|| names.join(", "))?;
        }
        Ok((canary.block(Pacing::Tight)?.p50().max(before), samples))
    }
}

/// What came of it, by the names of the contenders.
#[derive(Debug)]
pub(crate) struct Measured {
    series: BTreeMap<String, Series>,
    counted: usize,
    dropped: usize,
    /// The canary's best median, in microseconds: a large one tells of a machine that was never quiet.
    best: f64,
}

impl Measured {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.series.contains_key(name)
    }

    /// A contender's series; one without values for a name that nobody has.
    pub(crate) fn series(&self, name: &str) -> Series {
        self.series.get(name).cloned().unwrap_or_default()
    }

    /// How much of it counts.
    pub(crate) fn note(&self) -> String {
        let warning = if self.counted < 7 { "; TOO FEW, nothing follows from them" } else { "" };
        format!(
            "{} rounds counted, {} dropped (canary above {QUIET} of its best, {:.0} µs){warning}; interleaved in a shuffled order; \
             medians of the rounds, p99 of all values, ratios with their 95 % interval.",
            self.counted, self.dropped, self.best
        )
    }
}
