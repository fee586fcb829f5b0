//! What happened lately, as small bars: one for each, the newest at the right.

/// From one bar to the next, and its width and height, in the picture's own units.
const STEP: usize = 4;
const WIDTH: usize = 3;
const HEIGHT: u64 = 18;
/// So that what took no time is still seen.
const LOWEST: u64 = 4;

/// Bars, and the same in words.
#[derive(Debug)]
pub(crate) struct Bars {
    pub(crate) bars: Vec<Bar>,
    pub(crate) width: usize,
    pub(crate) words: String,
}

/// One bar.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) x: usize,
    pub(crate) y: u64,
    pub(crate) width: usize,
    pub(crate) height: u64,
    pub(crate) tone: &'static str,
    pub(crate) title: String,
}

/// One thing that happened: whether it was good, how long it took, and what to say of it.
pub(crate) type Event = (bool, u64, String);

impl Bars {
    /// Bars as high as things took long, in comparison; what was not good is as high as can be.
    pub(crate) fn of(events: Vec<Event>, noun: &str) -> Option<Self> {
        if events.is_empty() {
            return None;
        }
        let all = events.len();
        let good = events.iter().filter(|(good, ..)| *good).count();
        let longest = events
            .iter()
            .filter(|(good, ..)| *good)
            .map(|(_, took, _)| *took)
            .max()
            .unwrap_or_default()
            .max(1);
        let words = if good == all {
            format!("last {all} {noun}: all good")
        } else {
            format!("last {all} {noun}: {good} good, {} bad", all - good)
        };
        let bar = |(place, (good, took, title)): (usize, Event)| {
            let height = if good { LOWEST + took * (HEIGHT - LOWEST) / longest } else { HEIGHT };
            let tone = if good { "good" } else { "bad" };
            Bar { x: place * STEP, y: HEIGHT - height, width: WIDTH, height, tone, title }
        };
        Some(Self { bars: events.into_iter().enumerate().map(bar).collect(), width: all * STEP, words })
    }

    /// Bars as high as the counts in comparison, each with what is counted.
    pub(crate) fn counts(counts: Vec<(u64, String)>) -> Option<Self> {
        let most = counts.iter().map(|(count, _)| *count).max().filter(|most| *most > 0)?;
        let told: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let all = counts.len();
        let bar = |(place, (count, what)): (usize, (u64, String))| {
            let height = if count == 0 { 1 } else { LOWEST + count * (HEIGHT - LOWEST) / most };
            let title = format!("{count} {what}");
            Bar { x: place * STEP * 2, y: HEIGHT - height, width: STEP * 2 - 1, height, tone: "plain", title }
        };
        let bars = counts.into_iter().enumerate().map(bar).collect();
        Some(Self { bars, width: all * STEP * 2, words: told.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_say_the_same_in_words() {
        let event = |good, took| (good, took, String::new());
        let bars = Bars::of(vec![event(true, 10), event(false, 1), event(true, 0)], "probes").unwrap();
        assert_eq!(bars.words, "last 3 probes: 2 good, 1 bad");
        let heights: Vec<_> = bars.bars.iter().map(|bar| (bar.x, bar.height, bar.tone)).collect();
        assert_eq!(heights, [(0, 18, "good"), (4, 18, "bad"), (8, 4, "good")]);
        assert!(Bars::of(Vec::new(), "probes").is_none());
    }
}
