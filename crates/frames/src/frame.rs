//! Frames on a session's pipe.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0–3 | `len` | length of the payload, at most [`MAX_PAYLOAD`] |
//! | 4 | `kind` | [`Kind`] |
//! | 5 | `stream` | [`Stream`] of a `Log`, else 0 |
//! | 6–7 | reserved | 0 |
//! | 8–15 | `seq` | number of this frame, from 0, without holes |
//! | 16–23 | `time` | when it was made, in nanoseconds since the Unix epoch |
//!
//! All numbers are little-endian. A worker is not trusted: whatever it sends, decoding ends in a frame or in
//! an error, and never allocates more than the cap.

/// The length of a header in bytes.
pub const HEADER_LEN: usize = 24;

/// The longest payload in bytes. A larger write of the guest becomes several frames.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// The longest value that a function may return, in bytes of JSON.
pub const MAX_VALUE: usize = 1024 * 1024;

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The worker took the session; the payload is its pid as a `u32`.
    Started = 1,
    /// The guest takes requests.
    Ready = 2,
    /// Bytes that the guest wrote to a stream.
    Log = 3,
    /// How the run ended, as the worker claims: an encoded [`crate::message::Ended`]. Nothing follows.
    Result = 4,
    /// A piece of the value that the invoked function has returned, as JSON; all pieces together have at most [`MAX_VALUE`].
    Value = 5,
}

/// Which of the guest's streams bytes were written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Length of the payload in bytes.
    pub len: u32,
    /// What the frame says.
    pub kind: Kind,
    /// The stream of a `Log`.
    pub stream: Option<Stream>,
    /// Number of the frame, from 0.
    pub seq: u64,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is over the cap.
    #[error("a frame of {0} bytes is over the limit of {MAX_PAYLOAD}")]
    TooLong(u32),
    /// The kind or the stream is none that exists.
    #[error("a frame of kind {0} and stream {1} does not exist")]
    Unknown(u8, u8),
    /// A frame is missing, doubled or out of order.
    #[error("frame {found} came where {expected} was due")]
    OutOfOrder {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
}

impl Header {
    /// The header as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4] = self.kind as u8;
        bytes[5] = self.stream.map_or(0, |stream| stream as u8);
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time.to_le_bytes());
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// When the length is over the cap or kind and stream are none that exist.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, FrameError> {
        let [l0, l1, l2, l3, kind, stream, _, _, rest @ ..] = *bytes;
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        if len as usize > MAX_PAYLOAD {
            return Err(FrameError::TooLong(len));
        }
        let (kind, stream) = match (kind, stream) {
            (1, 0) => (Kind::Started, None),
            (2, 0) => (Kind::Ready, None),
            (3, 1) => (Kind::Log, Some(Stream::Stdout)),
            (3, 2) => (Kind::Log, Some(Stream::Stderr)),
            (4, 0) => (Kind::Result, None),
            (5, 0) => (Kind::Value, None),
            _ => return Err(FrameError::Unknown(kind, stream)),
        };
        let (mut seq, mut time) = ([0; 8], [0; 8]);
        seq.copy_from_slice(&rest[0..8]);
        time.copy_from_slice(&rest[8..16]);
        Ok(Self { len, kind, stream, seq: u64::from_le_bytes(seq), time: u64::from_le_bytes(time) })
    }
}

/// A frame whose payload still lies in the reader's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The fixed part.
    pub header: Header,
    /// What follows it.
    pub payload: &'a [u8],
}

/// Cuts frames out of a buffer and checks their order.
#[derive(Debug, Default)]
pub struct Decoder {
    next_seq: u64,
}

impl Decoder {
    /// Takes the frame that `buffer` begins with; returns it and its length, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are not a frame or not the one that is due. The stream cannot be read on then.
    pub fn next<'a>(&mut self, buffer: &'a [u8]) -> Result<Option<(Frame<'a>, usize)>, FrameError> {
        let Some((head, rest)) = buffer.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let header = Header::decode(head)?;
        let Some(payload) = rest.get(..header.len as usize) else { return Ok(None) };
        if header.seq != self.next_seq {
            return Err(FrameError::OutOfOrder { expected: self.next_seq, found: header.seq });
        }
        self.next_seq += 1;
        Ok(Some((Frame { header, payload }, HEADER_LEN + payload.len())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log(seq: u64, bytes: &[u8]) -> Vec<u8> {
        let header = Header {
            len: u32::try_from(bytes.len()).unwrap(),
            kind: Kind::Log,
            stream: Some(Stream::Stdout),
            seq,
            time: 7,
        };
        [&header.encode(), bytes].concat()
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8), cut in 1_usize..64) {
            let stream: Vec<u8> = payloads.iter().enumerate().flat_map(|(i, p)| log(i as u64, p)).collect();
            let (mut decoder, mut buffer, mut seen) = (Decoder::default(), Vec::new(), Vec::new());
            for piece in stream.chunks(cut) {
                buffer.extend_from_slice(piece);
                while let Some((frame, used)) = decoder.next(&buffer).unwrap() {
                    seen.push(frame.payload.to_vec());
                    buffer.drain(..used);
                }
            }
            prop_assert_eq!(seen, payloads);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (mut decoder, mut rest) = (Decoder::default(), &bytes[..]);
            while let Ok(Some((_, used))) = decoder.next(rest) {
                rest = &rest[used..];
            }
        }
    }

    #[test]
    fn a_length_over_the_cap_is_refused_before_the_payload_is_there() {
        let mut bytes = log(0, b"");
        bytes[0..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Decoder::default().next(&bytes), Err(FrameError::TooLong(u32::MAX)));
    }

    #[test]
    fn a_frame_out_of_order_is_refused() {
        assert_eq!(
            Decoder::default().next(&log(1, b"x")),
            Err(FrameError::OutOfOrder { expected: 0, found: 1 })
        );
    }
}
