//! A session's lines on our own standard output and standard error.

use std::io::{self, BufWriter, Stderr, Stdout, Write};

use api::log::Gap;
use api::{LogKind, LogLine};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::text;

/// Which lines are shown, and how.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Choice {
    /// Each line as one JSON document on standard output.
    pub(crate) json: bool,
    /// The time in front of every line.
    pub(crate) timestamps: bool,
    /// Only lines of this kind.
    pub(crate) only: Option<LogKind>,
    /// All lines on standard error.
    pub(crate) to_stderr: bool,
}

/// Writes lines so that both streams keep their order when they end in the same place.
#[derive(Debug)]
pub(crate) struct Sink<O: Write = Stdout, E: Write = Stderr> {
    out: BufWriter<O>,
    err: BufWriter<E>,
    choice: Choice,
    /// Whether the line last written of stdout, stderr and host goes on.
    open: [bool; 3],
}

impl Sink {
    pub(crate) fn new(choice: Choice) -> Self {
        Self::with(io::stdout(), io::stderr(), choice)
    }
}

impl<O: Write, E: Write> Sink<O, E> {
    fn with(out: O, err: E, choice: Choice) -> Self {
        let (out, err) = (BufWriter::with_capacity(64 << 10, out), BufWriter::with_capacity(64 << 10, err));
        Self { out, err, choice, open: [false; 3] }
    }

    /// Writes a line: the guest's bytes as they were, a line of the process itself marked as such.
    pub(crate) fn line(&mut self, line: &LogLine) -> io::Result<()> {
        if self.choice.only.is_some_and(|only| only != line.kind) {
            return Ok(());
        }
        if self.choice.json {
            serde_json::to_writer(&mut self.out, line)?;
            return self.out.write_all(b"\n");
        }
        let begins = !std::mem::replace(&mut self.open[line.kind as usize], line.partial);
        let mut prefix = String::new();
        if begins && self.choice.timestamps {
            prefix = text::timestamp(line.ts_ms) + " ";
        }
        if begins && line.kind == LogKind::Host {
            prefix += "[host] ";
        }
        // The exact bytes where the text could not hold them; damaged ones are better shown than dropped.
        let exact = line.base64.as_ref().and_then(|base64| BASE64_STANDARD.decode(base64).ok());
        let plain;
        let bytes = match (line.kind, &exact) {
            (LogKind::Host, _) => {
                plain = text::plain(&line.line);
                plain.as_bytes()
            }
            (_, Some(exact)) => exact.as_slice(),
            (_, None) => line.line.as_bytes(),
        };
        let end: &[u8] = if line.partial { b"" } else { b"\n" };
        let parts = [prefix.as_bytes(), bytes, end];
        if line.kind == LogKind::Stdout && !self.choice.to_stderr {
            self.err.flush()?;
            parts.iter().try_for_each(|part| self.out.write_all(part))
        } else {
            self.out.flush()?;
            parts.iter().try_for_each(|part| self.err.write_all(part))
        }
    }

    /// Tells of lines that are missing.
    pub(crate) fn gap(&mut self, gap: Gap) -> io::Result<()> {
        if self.choice.json {
            serde_json::to_writer(&mut self.out, &serde_json::json!({ "gap": gap }))?;
            return self.out.write_all(b"\n");
        }
        self.out.flush()?;
        writeln!(self.err, "hero_runner: {} lines are missing here", gap.missed)
    }

    /// Sends out what was written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.err.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: LogKind, text: &str, partial: bool) -> LogLine {
        LogLine { seq: 0, ts_ms: 0, kind, line: text.into(), base64: None, partial }
    }

    fn written(choice: Choice, lines: &[LogLine]) -> (Vec<u8>, Vec<u8>) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut sink = Sink::with(&mut out, &mut err, choice);
        for line in lines {
            sink.line(line).unwrap();
        }
        sink.flush().unwrap();
        drop(sink);
        (out, err)
    }

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let mut exact = line(LogKind::Stdout, "\u{fffd}\u{fffd}", false);
        exact.base64 = Some(BASE64_STANDARD.encode(b"\xff\x00\r"));
        let lines = [
            exact,
            line(LogKind::Stdout, "half", true),
            line(LogKind::Stderr, "e\x1b[1m", false),
            line(LogKind::Stdout, "done", false),
            line(LogKind::Host, "panic\x07", false),
        ];
        let (out, err) = written(Choice::default(), &lines);
        assert_eq!(out, b"\xff\x00\r\nhalfdone\n");
        assert_eq!(err, "e\x1b[1m\n[host] panic\u{fffd}\n".as_bytes());
    }

    #[test]
    fn a_time_stands_only_where_a_line_begins() {
        let choice = Choice { timestamps: true, ..Choice::default() };
        let lines = [line(LogKind::Stdout, "a", true), line(LogKind::Stdout, "b", false)];
        assert_eq!(written(choice, &lines).0, b"1970-01-01T00:00:00.000Z ab\n");
    }

    #[test]
    fn other_kinds_are_left_out_and_json_goes_to_one_place() {
        let lines = [line(LogKind::Stdout, "o", false), line(LogKind::Stderr, "e", false)];
        let only = Choice { only: Some(LogKind::Stderr), ..Choice::default() };
        assert_eq!(written(only, &lines), (vec![], b"e\n".to_vec()));
        let (out, err) = written(Choice { json: true, ..Choice::default() }, &lines);
        assert!(err.is_empty());
        let parsed: Vec<LogLine> = out
            .split_inclusive(|byte| *byte == b'\n')
            .map(|text| serde_json::from_slice(text).unwrap())
            .collect();
        assert_eq!(parsed, lines);
    }
}
