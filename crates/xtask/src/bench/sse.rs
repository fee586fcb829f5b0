//! Readers of a session's log.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::signals;

/// A connection that follows one session, or will.
#[derive(Debug)]
pub(crate) struct Reader {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        Ok(Self { stream, buffer: vec![0; 1 << 18] })
    }

    pub(crate) fn follow(&mut self, id: &str) -> Result<()> {
        // HTTP/1.0 has no chunks, so what comes is the stream itself.
        let ask = format!("GET /sse/session/{id} HTTP/1.0\r\nhost: localhost\r\n\r\n");
        Ok(self.stream.write_all(ask.as_bytes())?)
    }

    /// Reads until this text came, and appends what came to `seen`.
    pub(crate) fn until(&mut self, text: &str, seen: &mut Vec<u8>) -> Result<()> {
        while memchr::memmem::find(seen, text.as_bytes()).is_none() {
            let got = signals::read(&self.stream, &mut self.buffer)?;
            ensure!(got > 0, "the stream ended: {}", String::from_utf8_lossy(seen));
            seen.extend_from_slice(&self.buffer[..got]);
        }
        Ok(())
    }

    /// Reads to the end and checks that all lines came, each once and in their order; when the end came.
    pub(crate) fn drain(&mut self, lines: u64) -> Result<Instant> {
        let (mut count, mut carry) = (Counter { next: 0, whole: true, ended: false }, Vec::new());
        loop {
            let got = signals::read(&self.stream, &mut self.buffer)?;
            if got == 0 {
                break;
            }
            count.take(&self.buffer[..got], &mut carry);
        }
        let Counter { next, whole, ended } = count;
        ensure!(ended && whole && next == lines, "{next} of {lines} lines, in order: {whole}, end: {ended}");
        Ok(Instant::now())
    }
}

/// Counts events and checks that their numbers have no hole.
#[derive(Debug)]
struct Counter {
    next: u64,
    whole: bool,
    ended: bool,
}

impl Counter {
    fn take(&mut self, bytes: &[u8], carry: &mut Vec<u8>) {
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            if carry.is_empty() {
                self.line(&bytes[begin..end]);
            } else {
                carry.extend_from_slice(&bytes[begin..end]);
                self.line(&std::mem::take(carry));
            }
            begin = end + 1;
        }
        carry.extend_from_slice(&bytes[begin..]);
    }

    fn line(&mut self, line: &[u8]) {
        if let Some(digits) = line.strip_prefix(b"id: ") {
            let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            self.whole &= number == self.next;
            self.next += 1;
        }
        self.ended |= line == b"event: end";
    }
}
