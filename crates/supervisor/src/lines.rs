//! From the pieces that a guest writes to lines, and from lines to blocks of the history and back.

use api::LogKind;
use bytes::{Buf, BufMut, Bytes};
use store::history::Block;

use crate::logs::{Batch, Line};

/// The longest line in bytes; a longer one is cut and its pieces marked as partial. It is journald's own
/// `LineMax=48K`.
pub const MAX_LINE: usize = 48 * 1024;

/// Puts lines together from what is written to the three streams of one session.
#[derive(Debug, Default)]
pub struct Assembler {
    open: [Open; 3],
}

/// The beginning of a line whose end has not come.
#[derive(Debug, Default)]
struct Open {
    ts_ms: u64,
    bytes: Vec<u8>,
}

impl Open {
    fn extend(&mut self, kind: LogKind, ts_ms: u64, mut piece: &[u8], lines: &mut Vec<Line>) {
        if self.bytes.is_empty() {
            self.ts_ms = ts_ms;
        }
        while self.bytes.len() + piece.len() > MAX_LINE {
            let (head, rest) = piece.split_at(MAX_LINE - self.bytes.len());
            self.bytes.extend_from_slice(head);
            self.take(kind, true, lines);
            self.ts_ms = ts_ms;
            piece = rest;
        }
        self.bytes.extend_from_slice(piece);
    }

    fn take(&mut self, kind: LogKind, partial: bool, lines: &mut Vec<Line>) {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        lines.push(Line { ts_ms: self.ts_ms, kind, partial, bytes });
    }
}

impl Assembler {
    /// Takes a piece; appends to `lines` those that it completes. Order is that of the calls.
    pub fn push(&mut self, kind: LogKind, ts_ms: u64, piece: &Bytes, lines: &mut Vec<Line>) {
        let open = &mut self.open[kind as usize];
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', piece) {
            if open.bytes.is_empty() && end - start <= MAX_LINE {
                // The common case copies nothing.
                lines.push(Line { ts_ms, kind, partial: false, bytes: piece.slice(start..end) });
            } else {
                open.extend(kind, ts_ms, &piece[start..end], lines);
                open.take(kind, false, lines);
            }
            start = end + 1;
        }
        if start < piece.len() {
            open.extend(kind, ts_ms, &piece[start..], lines);
        }
    }

    /// Gives out what stands open, marked as partial: when nothing has come for a while, or at the end.
    pub fn flush(&mut self, lines: &mut Vec<Line>) {
        for (kind, open) in [LogKind::Stdout, LogKind::Stderr, LogKind::Host].into_iter().zip(&mut self.open)
        {
            if !open.bytes.is_empty() {
                open.take(kind, true, lines);
            }
        }
    }

    /// Whether a line stands open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.iter().any(|open| !open.bytes.is_empty())
    }
}

/// What a line takes in a block beside its bytes: time (8), kind and mark (1), length (4).
const LINE_HEAD: usize = 13;
const PARTIAL: u8 = 0x80;

/// Encodes a batch for the history.
#[must_use]
pub fn to_block(batch: &Batch) -> Block {
    let size = batch.lines.iter().map(|line| LINE_HEAD + line.bytes.len()).sum();
    let mut body = Vec::with_capacity(size);
    for line in &batch.lines {
        body.put_u64_le(line.ts_ms);
        body.put_u8(line.kind as u8 | if line.partial { PARTIAL } else { 0 });
        body.put_u32_le(line.bytes.len() as u32);
        body.put_slice(&line.bytes);
    }
    Block {
        first_seq: batch.first_seq,
        lines: batch.lines.len() as u32,
        first_ts_ms: batch.lines.first().map_or(0, |line| line.ts_ms),
        last_ts_ms: batch.lines.last().map_or(0, |line| line.ts_ms),
        body,
    }
}

/// Decodes a block of the history. A body that is not whole gives the lines that are.
#[must_use]
pub fn from_block(block: Block) -> Batch {
    let mut body = Bytes::from(block.body);
    let mut lines = Vec::with_capacity(block.lines as usize);
    while body.remaining() >= LINE_HEAD {
        let (ts_ms, kind, len) = (body.get_u64_le(), body.get_u8(), body.get_u32_le() as usize);
        if len > body.remaining() {
            break;
        }
        let bytes = body.split_to(len);
        let partial = kind & PARTIAL != 0;
        let kind = match kind & !PARTIAL {
            0 => LogKind::Stdout,
            1 => LogKind::Stderr,
            _ => LogKind::Host,
        };
        lines.push(Line { ts_ms, kind, partial, bytes });
    }
    Batch::new(block.first_seq, lines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<Line> {
        let (mut assembler, mut lines) = (Assembler::default(), Vec::new());
        for (at, piece) in pieces.iter().enumerate() {
            assembler.push(LogKind::Stdout, at as u64, &Bytes::copy_from_slice(piece), &mut lines);
        }
        assembler.flush(&mut lines);
        lines
    }

    #[test]
    fn a_line_has_the_time_of_its_first_byte() {
        let lines = lines_of(&[b"a", b"b\nc", b"\n", b"rest"]);
        let seen: Vec<_> = lines.iter().map(|line| (line.ts_ms, &line.bytes[..], line.partial)).collect();
        assert_eq!(seen, [(0, &b"ab"[..], false), (1, b"c", false), (3, b"rest", true)]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_marked() {
        let long = vec![b'x'; MAX_LINE * 2 + 5];
        let lines = lines_of(&[&long, b"\nnext\n"]);
        let seen: Vec<_> = lines.iter().map(|line| (line.bytes.len(), line.partial)).collect();
        assert_eq!(seen, [(MAX_LINE, true), (MAX_LINE, true), (5, false), (4, false)]);
    }

    #[test]
    fn streams_do_not_mix() {
        let (mut assembler, mut lines) = (Assembler::default(), Vec::new());
        assembler.push(LogKind::Stdout, 0, &Bytes::from_static(b"out"), &mut lines);
        assembler.push(LogKind::Stderr, 1, &Bytes::from_static(b"err\n"), &mut lines);
        assembler.push(LogKind::Stdout, 2, &Bytes::from_static(b"put\n"), &mut lines);
        let seen: Vec<_> = lines.iter().map(|line| &line.bytes[..]).collect();
        assert_eq!(seen, [&b"err"[..], b"output"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_is_cut(pieces in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), 0..20)) {
            let refs: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let mut again = Vec::new();
            for line in lines_of(&refs) {
                again.extend_from_slice(&line.bytes);
                if !line.partial { again.push(b'\n'); }
            }
            prop_assert_eq!(again, pieces.concat());
        }

        #[test]
        fn a_block_holds_the_batch(texts in proptest::collection::vec((any::<u64>(), 0..3_u8, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..50)), 1..30)) {
            let lines: Vec<Line> = texts.into_iter().map(|(ts_ms, kind, partial, bytes)| Line {
                ts_ms, partial, bytes: bytes.into(),
                kind: [LogKind::Stdout, LogKind::Stderr, LogKind::Host][usize::from(kind)],
            }).collect();
            let batch = Batch::new(9, lines);
            let again = from_block(to_block(&batch));
            prop_assert_eq!(again.first_seq, 9);
            prop_assert_eq!(again.lines, batch.lines);
        }

        #[test]
        fn any_body_decodes_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_block(Block { first_seq: 0, lines: 3, first_ts_ms: 0, last_ts_ms: 0, body });
        }
    }
}
