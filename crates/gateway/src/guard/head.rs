//! Checks the head of an HTTP/1 request, line by line as it comes, and says how its body is framed.

use memchr::memchr;

/// The most fields in a head; as many as hyper takes.
const MAX_FIELDS: usize = 100;

/// The longest target that the http crate takes, in bytes.
const MAX_TARGET: usize = u16::MAX as usize - 1;

/// Why the guard let a request not through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Against the grammar, or of two meanings; a sentence says how.
    Malformed(&'static str),
    /// The head has too many bytes or fields.
    HeadTooLarge,
    /// The head did not come to its end in time.
    HeadTimeout,
}

/// How the body after a head ends (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
}

/// What a head that passed means for the bytes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The head's length with its empty line, in bytes.
    pub(crate) len: usize,
    pub(crate) framing: Framing,
    /// Another protocol may follow.
    pub(crate) upgrade: bool,
}

/// A head on its way.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// Up to where lines were looked for.
    scanned: usize,
    /// Where the line begins that is not at its end yet.
    line: usize,
    request_line: bool,
    http_11: bool,
    fields: usize,
    host: bool,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

impl Head {
    /// Goes on with `bytes`, which begin where the head does and hold more of it each time. None: there has to come
    /// more.
    pub(crate) fn read(&mut self, bytes: &[u8], max: usize) -> Result<Option<Passed>, Fault> {
        loop {
            let found = bytes.get(self.scanned..).and_then(|rest| memchr(b'\n', rest));
            let Some(end) = found.map(|at| self.scanned + at) else {
                self.scanned = bytes.len();
                return if bytes.len() > max { Err(Fault::HeadTooLarge) } else { Ok(None) };
            };
            if end >= max {
                return Err(Fault::HeadTooLarge);
            }
            let Some(line) = bytes.get(self.line..end).and_then(|line| line.strip_suffix(b"\r")) else {
                return Err(Fault::Malformed("a line ends without a carriage return"));
            };
            (self.scanned, self.line) = (end + 1, end + 1);
            if !self.request_line {
                // An empty line before a request is to be ignored (RFC 9112, section 2.2).
                if !line.is_empty() {
                    self.request_line(line)?;
                }
            } else if !line.is_empty() {
                self.field(line)?;
            } else {
                return self.finish(end + 1).map(Some);
            }
        }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.request_line = true;
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (method, target, version) = (parts.next(), parts.next(), parts.next());
        // The mark is how the guard itself speaks to the service behind hyper.
        if !method.is_some_and(|method| is_token(method) && method != super::REFUSED_METHOD.as_bytes()) {
            return Err(Fault::Malformed("the method is not a token"));
        }
        let target = target.unwrap_or_default();
        if target.len() > MAX_TARGET {
            return Err(Fault::HeadTooLarge);
        }
        // Nearly every target is plain; the others are left to the parser that hyper has as well.
        let plain = target.starts_with(b"/") && target.iter().all(|byte| is_plain(*byte));
        if !plain && (target.contains(&b'#') || http::Uri::try_from(target).is_err()) {
            return Err(Fault::Malformed("the request's target is not a path, nor the address of one"));
        }
        self.http_11 = match version {
            Some(b"HTTP/1.1") => true,
            Some(b"HTTP/1.0") => false,
            _ => return Err(Fault::Malformed("the request line does not end with HTTP/1.1 or HTTP/1.0")),
        };
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(Fault::HeadTooLarge);
        }
        let colon = memchr(b':', line).ok_or(Fault::Malformed("a header field has no colon"))?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        // A blank before the colon and the continuation of a line that begins with one (obs-fold) end up here.
        if !is_token(name) {
            return Err(Fault::Malformed("the name of a header field is not a token"));
        }
        if value.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return Err(Fault::Malformed("a header field has a control character"));
        }
        let value = value.trim_ascii();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if std::mem::replace(&mut self.host, true) {
                    return Err(Fault::Malformed("there is more than one Host field"));
                }
                if value.iter().any(|byte| !byte.is_ascii_graphic() || b"/\\?#@\"<>,".contains(byte)) {
                    return Err(Fault::Malformed("the Host field is not a name with a port"));
                }
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade |= is_upgrade(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = length(value).ok_or(Fault::Malformed("Content-Length is not a number"))?;
                if self.length.replace(length).is_some() {
                    return Err(Fault::Malformed("there is more than one Content-Length field"));
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let repeated = std::mem::replace(&mut self.chunked, true);
                if repeated || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Malformed("Transfer-Encoding is something else than one `chunked`"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, len: usize) -> Result<Passed, Fault> {
        if self.http_11 && !self.host {
            return Err(Fault::Malformed("HTTP/1.1 wants a Host field"));
        }
        if self.chunked && self.length.is_some() {
            return Err(Fault::Malformed("Content-Length and Transfer-Encoding contradict each other"));
        }
        if self.chunked && !self.http_11 {
            return Err(Fault::Malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        let framing = if self.chunked { Framing::Chunked } else { Framing::Length(self.length.unwrap_or(0)) };
        Ok(Passed { len, framing, upgrade: self.upgrade })
    }
}

/// Whether an `Upgrade` field with this value may lead to another protocol. `h2c` never does here: RFC 9113 withdrew
/// it, and clients that offer it with every first request go on in HTTP/1.1.
pub(crate) fn is_upgrade(value: &[u8]) -> bool {
    !value.trim_ascii().eq_ignore_ascii_case(b"h2c")
}

/// Whether a byte of a path or query is one that RFC 3986 has there.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@?".contains(&byte)
}

/// Digits and nothing else, and few enough for every part that counts them.
fn length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits)?;
    text.parse().ok().filter(|length| i64::try_from(*length).is_ok())
}

/// Whether this is a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1024;

    fn read(head: &str) -> Result<Option<Passed>, Fault> {
        Head::default().read(head.as_bytes(), MAX)
    }

    #[test]
    fn heads_that_mean_one_thing_pass() {
        let of = |head: &str| read(head).unwrap().map(|passed| (passed.len, passed.framing, passed.upgrade));
        let whole = |head: &str, framing, upgrade| {
            assert_eq!(of(head), Some((head.len(), framing, upgrade)), "{head}");
        };
        whole("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Length(0), false);
        whole("\r\nGET / HTTP/1.0\r\n\r\n", Framing::Length(0), false);
        whole("POST /x HTTP/1.1\r\nhost:a:80\r\nCONTENT-LENGTH: 007 \r\n\r\n", Framing::Length(7), false);
        whole("PUT /x HTTP/1.1\r\nTransfer-Encoding:\tChunked\r\nHost:\r\n\r\n", Framing::Chunked, false);
        whole("GET / HTTP/1.1\r\nHost: [::1]:80\r\nUpgrade: websocket\r\n\r\n", Framing::Length(0), true);
        whole("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n", Framing::Length(0), false);
        whole("GET /é HTTP/1.1\r\nHost: a\r\nX: é\t\r\nY:\r\n\r\n", Framing::Length(0), false);
        assert_eq!(of("GET / HTTP/1.1\r\nHost: a\r\n\r\nmore").unwrap().0, 27);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_malformed() {
        for head in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "\nGET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\tc: d\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
            "GET /\r\n",
            "GET / HTTP/2.0\r\n",
            "GET / HTTP/1.2\r\n",
            "GET / http/1.1\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET /  HTTP/1.1\r\n",
            "GET /a b HTTP/1.1\r\n",
            "GET / HTTP/1.1 \r\n",
            "GET\t/ HTTP/1.1\r\n",
            "GET /#x HTTP/1.1\r\n",
            "G(T / HTTP/1.1\r\n",
            " GET / HTTP/1.1\r\n",
            "! * HTTP/1.1\r\n",
        ] {
            assert!(matches!(read(head), Err(Fault::Malformed(_))), "{head:?}: {:?}", read(head));
        }
    }

    #[test]
    fn bodies_of_two_lengths_are_malformed() {
        for fields in [
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: 1, 1",
            "Content-Length: +1",
            "Content-Length: 0x1",
            "Content-Length: 1 2",
            "Content-Length: -1",
            "Content-Length:",
            "Content-Length: 18446744073709551616",
            "Content-Length: 9223372036854775808",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 1",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: \x0bchunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ] {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
            assert!(matches!(read(&head), Err(Fault::Malformed(_))), "{fields}");
        }
        assert!(read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn a_head_that_is_too_large_is_refused_before_its_end() {
        assert_eq!(read(&"x".repeat(MAX)), Ok(None));
        assert_eq!(read(&"x".repeat(MAX + 1)), Err(Fault::HeadTooLarge));
        let fields = |count| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a:b\r\n".repeat(count));
        assert!(matches!(read(&fields(99)), Ok(Some(_))));
        assert_eq!(read(&fields(100)), Err(Fault::HeadTooLarge));
    }

    #[test]
    fn it_does_not_matter_in_which_pieces_a_head_comes() {
        let text = "\r\nPOST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
        let mut head = Head::default();
        for end in 0..text.len() {
            assert_eq!(head.read(&text.as_bytes()[..end], MAX), Ok(None), "{end}");
        }
        assert_eq!(head.read(text.as_bytes(), MAX), read(text));
    }
}
