//! Reads answers, and keeps nothing of them but what counts.

use httparse::{EMPTY_HEADER, Status};

/// Longer heads are not read.
const LONGEST_HEAD: usize = 64 * 1024;
/// More headers are not read.
const MOST_HEADERS: usize = 100;

/// The failure of an answer that is not HTTP/1.
pub(crate) const BAD: &str = "bad_answer";

/// An answer that is coming in.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    /// Whether the connection can be used again.
    pub(crate) reusable: bool,
    /// Whether it answers a HEAD request.
    head_only: bool,
    /// The beginning of a head that came in pieces.
    partial: Vec<u8>,
    state: State,
}

enum State {
    Head,
    /// So many bytes are left.
    Length(u64),
    Chunked(Chunk),
    /// The end of the connection is its end.
    UntilEnd,
    Done,
}

/// Where in a chunked body.
enum Chunk {
    Size {
        value: u64,
        digits: u8,
        extension: bool,
    },
    Bytes(u64),
    /// The line break after the bytes.
    After,
    Trailer {
        empty: bool,
    },
}

const SIZE: Chunk = Chunk::Size { value: 0, digits: 0, extension: false };

impl Answer {
    pub(crate) fn new(head_only: bool) -> Self {
        Self { status: 0, bytes: 0, reusable: true, head_only, partial: Vec::new(), state: State::Head }
    }

    /// Takes what came; whether that is all.
    pub(crate) fn take(&mut self, mut input: &[u8]) -> Result<bool, &'static str> {
        self.bytes += input.len() as u64;
        while !input.is_empty() {
            let used = match &mut self.state {
                State::Head => self.head(input)?,
                State::Length(left) => {
                    let used = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= used as u64;
                    if *left == 0 {
                        self.state = State::Done;
                    }
                    used
                }
                State::Chunked(chunk) => {
                    let (used, done) = chunk.take(input)?;
                    if done {
                        self.state = State::Done;
                    }
                    used
                }
                State::UntilEnd => input.len(),
                State::Done => {
                    // Nobody asked for this.
                    self.reusable = false;
                    input.len()
                }
            };
            input = &input[used..];
        }
        Ok(matches!(self.state, State::Done))
    }

    /// The connection has ended; whether that is the answer's end, too.
    pub(crate) fn end(&self) -> bool {
        matches!(self.state, State::UntilEnd | State::Done)
    }

    /// Reads as much of the head as there is; how many bytes of the input are the head's.
    fn head(&mut self, input: &[u8]) -> Result<usize, &'static str> {
        if self.partial.is_empty() {
            return match self.parse(input)? {
                Some(length) => Ok(length),
                None => self.keep(input),
            };
        }
        let before = self.partial.len();
        self.keep(input)?;
        let whole = std::mem::take(&mut self.partial);
        match self.parse(&whole)? {
            Some(length) => Ok(length - before),
            None => {
                self.partial = whole;
                Ok(input.len())
            }
        }
    }

    fn keep(&mut self, input: &[u8]) -> Result<usize, &'static str> {
        if self.partial.len() + input.len() > LONGEST_HEAD {
            return Err(BAD);
        }
        self.partial.extend_from_slice(input);
        Ok(input.len())
    }

    /// Reads a head, if it is whole; its length.
    fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, &'static str> {
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(BAD),
        };
        let status = response.code.unwrap_or_default();
        if (100..200).contains(&status) && status != 101 {
            // The answer itself is still to come.
            return Ok(Some(length));
        }
        self.status = status;
        self.reusable = response.version == Some(1);
        let mut content_length = None;
        let mut chunked = false;
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(header.value).map_err(|_| BAD)?;
                content_length = Some(text.trim().parse::<u64>().map_err(|_| BAD)?);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = names(header.value, b"chunked");
            } else if header.name.eq_ignore_ascii_case("connection") {
                if names(header.value, b"close") {
                    self.reusable = false;
                } else if names(header.value, b"keep-alive") {
                    self.reusable = true;
                }
            }
        }
        self.state = match content_length {
            _ if self.head_only || matches!(status, 204 | 304) => State::Done,
            // We asked for no other protocol.
            _ if status == 101 => return Err(BAD),
            _ if chunked => State::Chunked(SIZE),
            Some(0) => State::Done,
            Some(length) => State::Length(length),
            None => {
                self.reusable = false;
                State::UntilEnd
            }
        };
        Ok(Some(length))
    }
}

/// Whether a list of words, separated by commas, has this one.
fn names(value: &[u8], word: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(word))
}

impl Chunk {
    /// How many bytes were used, and whether the body is complete.
    fn take(&mut self, input: &[u8]) -> Result<(usize, bool), &'static str> {
        if let Self::Bytes(left) = self {
            let used = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= used as u64;
            if *left == 0 {
                *self = Self::After;
            }
            return Ok((used, false));
        }
        for (index, byte) in input.iter().enumerate() {
            match self {
                Self::Size { digits: 0, .. } if *byte == b'\n' => return Err(BAD),
                Self::Size { value: 0, .. } if *byte == b'\n' => *self = Self::Trailer { empty: true },
                Self::Size { value, .. } if *byte == b'\n' => {
                    *self = Self::Bytes(*value);
                    return Ok((index + 1, false));
                }
                Self::Size { extension: true, .. } => {}
                Self::Size { value, digits, extension } => match char::from(*byte).to_digit(16) {
                    Some(digit) if *digits < 15 => {
                        *value = *value << 4 | u64::from(digit);
                        *digits += 1;
                    }
                    None if matches!(byte, b'\r' | b';' | b' ' | b'\t') => *extension = true,
                    _ => return Err(BAD),
                },
                Self::After => match byte {
                    b'\r' => {}
                    b'\n' => *self = SIZE,
                    _ => return Err(BAD),
                },
                Self::Trailer { empty } => match byte {
                    b'\r' => {}
                    b'\n' if *empty => return Ok((index + 1, true)),
                    _ => *empty = *byte == b'\n',
                },
                Self::Bytes(_) => return Ok((index, false)),
            }
        }
        Ok((input.len(), false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status of an answer and whether its connection can be used again, however its bytes come in pieces.
    fn read(text: &str) -> Result<Option<(u16, bool)>, &'static str> {
        let whole = read_in(text, text.len());
        for size in [1, 2, 3, 7] {
            assert_eq!(read_in(text, size), whole, "{text:?} in pieces of {size}");
        }
        whole
    }

    fn read_in(text: &str, size: usize) -> Result<Option<(u16, bool)>, &'static str> {
        let mut answer = Answer::new(false);
        let mut done = false;
        for piece in text.as_bytes().chunks(size) {
            done = answer.take(piece)?;
        }
        Ok((done || answer.end()).then_some((answer.status, answer.reusable)))
    }

    #[test]
    fn answers_end_where_they_say() {
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), Ok(Some((200, true))));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), Ok(None));
        assert_eq!(
            read("HTTP/1.1 404 No\r\ncontent-length:0\r\nConnection: Close\r\n\r\n"),
            Ok(Some((404, false)))
        );
        assert_eq!(read("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"), Ok(Some((200, false))));
        assert_eq!(read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n"), Ok(Some((204, true))));
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\nall of it"), Ok(Some((200, false))));
        assert_eq!(read("HTTP/1.1 204 No\r\n\r\nsurprise"), Ok(Some((204, false))));
    }

    #[test]
    fn chunks_end_where_they_say() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
        let read = |body: &str| read(&format!("{head}{body}"));
        assert_eq!(read("3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"), Ok(Some((200, true))));
        assert_eq!(read("0\r\nTrailer: 1\r\nMore: 2\r\n\r\n"), Ok(Some((200, true))));
        assert_eq!(read("3\r\nabc\r\n0\r\n"), Ok(None));
        assert_eq!(read("3\r\nabcd\r\n"), Err(BAD));
        assert_eq!(read("\r\n"), Err(BAD));
        assert_eq!(read("fffffffffffffffff\r\n"), Err(BAD));
    }

    #[test]
    fn what_is_no_http_is_refused() {
        assert_eq!(read("SSH-2.0-OpenSSH_9.2\r\n"), Err(BAD));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Err(BAD));
        let mut answer = Answer::new(true);
        assert_eq!(answer.take(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), Ok(true));
    }
}
