//! Server-sent events, read piece by piece (HTML standard, section 9.2.6).

/// The most that one event may take; a log line of 48 KiB with every byte escaped stays far below.
const EVENT_MAX: usize = 8 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// The event's type; `message` when the stream names none.
    pub(crate) name: String,
    /// Its data, the lines joined by line feeds.
    pub(crate) data: String,
}

/// The stream holds an event that is larger than any the server sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Turns bytes, cut anywhere, into events. The id is not kept: every line names its own place.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
    past_first_line: bool,
    // A line feed right after a carriage return ends the same line, even when they arrive apart.
    after_cr: bool,
}

impl Parser {
    /// Reads more of the stream and appends the events that are complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TooLarge> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.line.extend_from_slice(&bytes[..end]);
            let cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if cr {
                self.after_cr = bytes.is_empty();
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            self.end_line(events);
            self.check()?;
        }
        self.line.extend_from_slice(bytes);
        self.check()
    }

    fn check(&self) -> Result<(), TooLarge> {
        if self.line.len() + self.data.len() > EVENT_MAX { Err(TooLarge) } else { Ok(()) }
    }

    fn end_line(&mut self, events: &mut Vec<Event>) {
        let mut line = std::mem::take(&mut self.line);
        let mut text = line.as_slice();
        if !std::mem::replace(&mut self.past_first_line, true) {
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        if text.is_empty() {
            self.dispatch(events);
        } else {
            let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
            let (field, value) = text.split_at(colon);
            let value = value.strip_prefix(b":").unwrap_or(value);
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match field {
                b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
                b"data" => {
                    self.data.extend_from_slice(value);
                    self.data.push(b'\n');
                }
                // `id` and `retry` are not needed, an empty name is a comment, the rest is to be ignored.
                _ => {}
            }
        }
        line.clear();
        self.line = line;
    }

    fn dispatch(&mut self, events: &mut Vec<Event>) {
        let name = std::mem::take(&mut self.name);
        // An event without data is none; its name must not leak into the next.
        if self.data.pop().is_none() {
            return;
        }
        let name = if name.is_empty() { "message".to_owned() } else { name };
        events.push(Event { name, data: String::from_utf8_lossy(&self.data).into_owned() });
        self.data.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(pieces: &[&[u8]]) -> Vec<Event> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.feed(piece, &mut events).unwrap();
        }
        events
    }

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    const STREAM: &str = "\u{feff}: hello\n\nid: 0\nevent: stdout\ndata: {\"a\":1}\n\n:keep-alive\n\n\
        event:stderr\rdata:  two\rdata: lines\r\r\
        data: caf\u{e9}\r\ndata\r\nretry: 10\r\nunknown: x\r\n\r\n\
        event: dropped\n\ndata: last\n\nevent: cut\ndata: off";

    fn expected() -> Vec<Event> {
        vec![
            event("stdout", "{\"a\":1}"),
            event("stderr", " two\nlines"),
            event("message", "caf\u{e9}\n"),
            event("message", "last"),
        ]
    }

    #[test]
    fn line_ends_comments_bom_and_joined_data() {
        assert_eq!(parse(&[STREAM.as_bytes()]), expected());
    }

    #[test]
    fn any_single_cut_changes_nothing() {
        let bytes = STREAM.as_bytes();
        for cut in 0..=bytes.len() {
            assert_eq!(parse(&[&bytes[..cut], &bytes[cut..]]), expected(), "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(parse(&single), expected());
    }

    #[test]
    fn empty_pieces_between_cr_and_lf_change_nothing() {
        assert_eq!(parse(&[b"data: a\r", b"", b"\n", b"\r", b"\n"]), [event("message", "a")]);
    }

    #[test]
    fn a_bom_counts_only_at_the_beginning() {
        assert_eq!(parse(&["data: a\n\u{feff}data: b\n\n".as_bytes()]), [event("message", "a")]);
    }

    #[test]
    fn an_event_without_end_is_refused_before_it_fills_the_memory() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1 << 20];
        let mut events = Vec::new();
        let fed = (0..9).find_map(|_| parser.feed(&piece, &mut events).err());
        assert_eq!(fed, Some(TooLarge));
    }

    proptest! {
        #[test]
        fn cuts_never_matter(
            lines in proptest::collection::vec("(data|event|id|:|x)?:? ?[ a-z:\u{e9}]{0,6}(\n|\r|\r\n|\n\n|\r\r)", 0..12),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        ) {
            let text = lines.concat();
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(parse(&pieces), parse(&[bytes]));
        }
    }
}
