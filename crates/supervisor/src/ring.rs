//! The newest lines of a session in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::logs::Batch;

/// How much a ring holds: at least the last `lines` as long as they fit into [`MAX_BYTES`], and more than
/// that while everything is small.
const SMALL_BYTES: usize = 1 << 20;
const MAX_BYTES: usize = 8 << 20;

/// The newest lines of a session, in the batches in which they came.
#[derive(Debug)]
pub(crate) struct Ring {
    batches: VecDeque<Arc<Batch>>,
    lines: usize,
    bytes: usize,
    keep_lines: usize,
}

/// What a batch takes in memory, roughly: the bytes as they were read, the same once more encoded for subscribers, and
/// for each line its place in the list, the frame's head and the encoding around it.
fn size(batch: &Batch) -> usize {
    batch.lines.iter().map(|line| 2 * line.bytes.len() + 200).sum()
}

impl Ring {
    pub(crate) fn new(keep_lines: usize) -> Self {
        Self { batches: VecDeque::new(), lines: 0, bytes: 0, keep_lines }
    }

    pub(crate) fn push(&mut self, batch: Arc<Batch>) {
        self.lines += batch.lines.len();
        self.bytes += size(&batch);
        self.batches.push_back(batch);
        while self.batches.len() > 1 && self.is_too_large() {
            if let Some(oldest) = self.batches.pop_front() {
                self.lines -= oldest.lines.len();
                self.bytes -= size(&oldest);
            }
        }
    }

    fn is_too_large(&self) -> bool {
        let rest = self.lines - self.batches.front().map_or(0, |batch| batch.lines.len());
        self.bytes > MAX_BYTES || (rest >= self.keep_lines && self.bytes > SMALL_BYTES)
    }

    /// The bytes that the lines take in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The sequence number of the oldest line that is here, if any is.
    pub(crate) fn first_seq(&self) -> Option<u64> {
        self.batches.front().map(|batch| batch.first_seq)
    }

    /// The batches with lines from `seq` on, or `None` when older ones than are here would be needed.
    pub(crate) fn from(&self, seq: u64) -> Option<Vec<Arc<Batch>>> {
        if self.first_seq()? > seq {
            return None;
        }
        let start = self.batches.partition_point(|batch| batch.next_seq() <= seq);
        Some(self.batches.range(start..).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use api::LogKind;

    use super::*;
    use crate::logs::Line;

    fn batch(first_seq: u64, count: usize, len: usize) -> Arc<Batch> {
        let line = Line { ts_ms: 0, kind: LogKind::Stdout, partial: false, bytes: vec![0; len].into() };
        Arc::new(Batch::new(first_seq, vec![line; count]))
    }

    #[test]
    fn small_lines_stay_and_large_ones_go() {
        let mut ring = Ring::new(4);
        (0..10).for_each(|seq| ring.push(batch(seq, 1, 10)));
        assert_eq!(ring.first_seq(), Some(0));
        (10..20).for_each(|seq| ring.push(batch(seq, 1, 400_000)));
        assert_eq!(ring.first_seq(), Some(16), "the last four lines are kept");
    }

    #[test]
    fn the_bytes_have_a_bound_whatever_the_lines() {
        let mut ring = Ring::new(1_000_000);
        (0..100).for_each(|seq| ring.push(batch(seq, 1, 1 << 20)));
        assert!(ring.bytes <= MAX_BYTES);
    }

    #[test]
    fn reading_begins_in_the_middle_of_a_batch_or_not_at_all() {
        let mut ring = Ring::new(4);
        assert!(ring.from(0).is_none(), "an empty ring knows nothing");
        ring.push(batch(5, 3, 1));
        ring.push(batch(8, 3, 1));
        assert!(ring.from(4).is_none());
        assert_eq!(ring.from(7).map(|found| found.len()), Some(2));
        assert_eq!(ring.from(8).map(|found| found.len()), Some(1));
        assert_eq!(ring.from(11).map(|found| found.len()), Some(0));
    }
}
