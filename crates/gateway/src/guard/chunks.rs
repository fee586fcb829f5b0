//! Follows a chunked body (RFC 9112, section 7.1) to its end, byte by byte where it is framing.

use super::head::{Fault, is_token_byte};

/// The most bytes of framing in one go: the extensions of a chunk, or the trailers.
const MAX_FRAMING: usize = 16 * 1024;

/// Where in a chunked body the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the size of a chunk, after so many digits.
    Size(u32),
    /// In what may follow the size.
    Extension,
    SizeEnd,
    Data,
    DataEnd(u8),
    /// At the beginning of a line of the trailers.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    End,
}

/// A chunked body on its way.
#[derive(Debug)]
pub(crate) struct Chunks {
    at: At,
    /// The size of the chunk, and then what is left of it.
    left: u64,
    framing: usize,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self { at: At::Size(0), left: 0, framing: 0 }
    }

    /// Goes on with `bytes` and says how many of them belong to the body, and whether that was its end.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        let mut read = 0;
        while let Some(byte) = bytes.get(read) {
            if self.at == At::Data {
                let here = self.left.min((bytes.len() - read) as u64);
                self.left -= here;
                // As many as there are in a slice, so it fits.
                read += here as usize;
                if self.left == 0 {
                    self.at = At::DataEnd(b'\r');
                }
                continue;
            }
            self.at = self.step(*byte)?;
            read += 1;
            self.framing = if self.at == At::Data { 0 } else { self.framing + 1 };
            if self.framing > MAX_FRAMING {
                return Err(Fault::Malformed("the extensions of a chunk or the trailers are too long"));
            }
            if self.at == At::End {
                return Ok((read, true));
            }
        }
        Ok((read, false))
    }

    fn step(&mut self, byte: u8) -> Result<At, Fault> {
        let visible = byte >= b' ' && byte != 0x7f || byte == b'\t';
        Ok(match (self.at, byte) {
            (At::Size(digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 16 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left = self.left << 4 | u64::from(digit);
                At::Size(digits + 1)
            }
            (At::Size(1..) | At::Extension, b'\r') => At::SizeEnd,
            (At::Size(1..), b';') => At::Extension,
            (At::Extension, _) if visible => At::Extension,
            (At::SizeEnd, b'\n') if self.left == 0 => At::Trailer,
            (At::SizeEnd, b'\n') => At::Data,
            (At::DataEnd(b'\r'), b'\r') => At::DataEnd(b'\n'),
            (At::DataEnd(b'\n'), b'\n') => At::Size(0),
            (At::Trailer, b'\r') => At::TrailerEnd,
            (At::Trailer | At::TrailerName, _) if is_token_byte(byte) => At::TrailerName,
            (At::TrailerName, b':') => At::TrailerValue,
            (At::TrailerValue, b'\r') => At::SizeEnd,
            (At::TrailerValue, _) if visible => At::TrailerValue,
            (At::TrailerEnd, b'\n') => At::End,
            (At::Size(_), _) => {
                return Err(Fault::Malformed("the size of a chunk is not a number of 16 digits at most"));
            }
            _ => return Err(Fault::Malformed("the framing of a chunked body is broken")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &[u8]) -> Result<(usize, bool), Fault> {
        Chunks::new().read(body)
    }

    #[test]
    fn a_body_ends_where_it_ends() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A;name=\"a b\"\r\n\r\n0\r\n\r\n\r\n1\r\n000\r\n\r\n",
            "2\r\n\r\n\r\n0\r\nx: y\r\nz:\r\n\r\n",
        ] {
            let more = format!("{body}GET");
            assert_eq!(read(more.as_bytes()), Ok((body.len(), true)), "{body:?}");
            assert_eq!(read(&body.as_bytes()[..body.len() - 1]), Ok((body.len() - 1, false)), "{body:?}");
        }
    }

    #[test]
    fn broken_framing_is_malformed() {
        for body in [
            "\r\n",
            "5\nhello",
            "5 \r\nhello",
            " 5\r\nhello",
            "+5\r\nhello",
            "0x5\r\nhello",
            "-1\r\n",
            "10000000000000000\r\n",
            "00000000000000005\r\nhello",
            ";x\r\n",
            "5;x\nhello",
            "5;\0\r\nhello",
            "5\r\nhelloo\r\n",
            "5\r\nhello\n",
            "0\r\n\n",
            "0\r\nx y: z\r\n\r\n",
            "0\r\n x: z\r\n\r\n",
            "0\r\nx: z\n\r\n",
            "0\r\nx\r\n\r\n",
            "0\r\n: y\r\n\r\n",
        ] {
            assert!(read(body.as_bytes()).is_err(), "{body:?}");
        }
        assert!(read(format!("1;{}", "x".repeat(MAX_FRAMING)).as_bytes()).is_err());
        assert!(read(format!("0\r\n{}", "x: y\r\n".repeat(MAX_FRAMING)).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_a_body_comes(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..5),
            pieces in proptest::collection::vec(1_usize..20, 1..40),
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
            }
            body.extend(b"0\r\nx: y\r\n\r\n");
            let mut follower = Chunks::new();
            let (mut at, mut ended) = (0, false);
            for piece in pieces.iter().cycle() {
                let end = body.len().min(at + piece);
                let (read, end_of_body) = follower.read(&body[at..end]).unwrap();
                prop_assert_eq!(read, end - at);
                (at, ended) = (end, end_of_body);
                if at == body.len() {
                    break;
                }
            }
            prop_assert!(ended);
        }
    }
}
