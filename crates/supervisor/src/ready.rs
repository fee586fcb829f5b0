//! When a session is ready that has said how that shows.

use std::time::Duration;

use api::LogKind;
use api::session::Ready;
use bytes::Bytes;

use crate::logs::Line;

/// The most that a line may have that shows it, in bytes.
pub(crate) const MAX_LINE: usize = 1024;

/// What has to come before a session is ready.
#[derive(Debug, Clone)]
pub(crate) struct Signs {
    /// This line on standard output or standard error; else only the worker's word, once its function has returned.
    line: Option<Bytes>,
    /// From the start until then at most.
    pub(crate) timeout: Duration,
}

impl Signs {
    /// The signs that a request declares.
    pub(crate) fn declared(ready: &Ready) -> Self {
        let line = match (&ready.line, &ready.export) {
            (Some(line), _) => Some(line.as_str()),
            (None, Some(_)) => None,
            (None, None) => Some(Ready::LINE),
        };
        Self {
            line: line.map(|line| Bytes::copy_from_slice(line.as_bytes())),
            timeout: Duration::from_millis(ready.timeout_ms.unwrap_or(Ready::TIMEOUT_MS)),
        }
    }

    /// Whether the line is among these.
    pub(crate) fn are_in(&self, lines: &[Line]) -> bool {
        let Some(wanted) = &self.line else { return false };
        lines.iter().any(|line| {
            let bytes = line.bytes.strip_suffix(b"\r").unwrap_or(&line.bytes);
            !line.partial && line.kind != LogKind::Host && bytes == &wanted[..]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: LogKind, text: &'static str, partial: bool) -> Line {
        Line { ts_ms: 0, kind, partial, bytes: Bytes::from_static(text.as_bytes()) }
    }

    #[test]
    fn a_whole_line_of_the_guests_is_the_sign() {
        let signs = Signs::declared(&Ready::default());
        assert!(signs.are_in(&[line(LogKind::Stdout, "x", false), line(LogKind::Stderr, "READY\r", false)]));
        for wrong in [
            line(LogKind::Stdout, "READY", true),
            line(LogKind::Host, "READY", false),
            line(LogKind::Stdout, "READY ", false),
            line(LogKind::Stdout, "not READY", false),
        ] {
            assert!(!signs.are_in(&[wrong]));
        }
    }

    #[test]
    fn with_an_export_alone_no_line_is() {
        let declared = Ready { export: Some("weft_ready".into()), ..Ready::default() };
        assert!(!Signs::declared(&declared).are_in(&[line(LogKind::Stdout, "READY", false)]));
        let both = Ready { line: Some("up".into()), timeout_ms: Some(7), ..declared };
        let signs = Signs::declared(&both);
        assert!(signs.are_in(&[line(LogKind::Stdout, "up", false)]));
        assert_eq!(signs.timeout, Duration::from_millis(7));
    }
}
