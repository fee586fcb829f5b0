//! Text and log lines as JSON, fast: the path of every line to every reader.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use supervisor::logs::Line;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Appends `text` with what JSON wants escaped, without the quotes around it.
pub fn text(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    let mut start = 0;
    loop {
        let at = special(bytes, start);
        out.extend_from_slice(&bytes[start..at]);
        let Some(byte) = bytes.get(at) else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (DIGITS[usize::from(control >> 4)], DIGITS[usize::from(control & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        start = at + 1;
    }
}

/// The first byte from `from` on that JSON wants escaped (a quote, a backslash, a control character), or the end.
fn special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    // Eight bytes at a time: a borrow can mark a byte wrongly only above one that is marked rightly.
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let found = (word.wrapping_sub(ONES * 0x20) & !word)
            | (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash);
        let found = found & HIGHS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter()
        .position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))
        .map_or(bytes.len(), |more| at + more)
}

/// Appends a whole number.
pub fn number(out: &mut BytesMut, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a line as the members `line`, `base64` and `partial` of [`api::LogLine`], without braces.
pub fn line(out: &mut BytesMut, line: &Line) {
    out.extend_from_slice(br#""line":""#);
    match std::str::from_utf8(&line.bytes) {
        Ok(valid) => {
            text(out, valid);
            out.extend_from_slice(b"\"");
        }
        Err(_) => {
            text(out, &String::from_utf8_lossy(&line.bytes));
            out.extend_from_slice(br#"","base64":""#);
            out.extend_from_slice(STANDARD.encode(&line.bytes).as_bytes());
            out.extend_from_slice(b"\"");
        }
    }
    if line.partial {
        out.extend_from_slice(br#","partial":true"#);
    }
}

/// Appends a line as the JSON of [`api::LogLine`].
pub fn log_line(out: &mut BytesMut, seq: u64, entry: &Line) {
    out.extend_from_slice(br#"{"seq":"#);
    number(out, seq);
    out.extend_from_slice(br#","ts_ms":"#);
    number(out, entry.ts_ms);
    out.extend_from_slice(br#","kind":""#);
    out.extend_from_slice(entry.kind.name().as_bytes());
    out.extend_from_slice(br#"","#);
    line(out, entry);
    out.extend_from_slice(b"}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::LogKind;
    use proptest::prelude::*;

    fn escaped(value: &str) -> BytesMut {
        let mut out = BytesMut::new();
        out.extend_from_slice(b"\"");
        text(&mut out, value);
        out.extend_from_slice(b"\"");
        out
    }

    #[test]
    fn every_character_of_the_first_two_blocks_comes_back() {
        for code in 0..0x300_u32 {
            let Some(character) = char::from_u32(code) else { continue };
            // At every place of a word of eight, among neighbours that could carry.
            for before in 0..9 {
                let value = format!("{}{character}{character}\u{7f}a!#", "é".repeat(before));
                let out = escaped(&value);
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(value in any::<String>()) {
            let out = escaped(&value);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), value);
        }

        #[test]
        fn any_bytes_make_the_same_line_as_serde(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'\n'), 0_u8..32], 0..200),
            seq in any::<u64>(), ts_ms in any::<u64>(), partial in any::<bool>(),
        ) {
            let entry = Line { ts_ms, kind: LogKind::Stderr, partial, bytes: bytes.into() };
            let mut out = BytesMut::new();
            log_line(&mut out, seq, &entry);
            prop_assert!(!out.iter().any(|byte| *byte < 0x20), "a control character would end the field");
            let read: api::LogLine = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(&read, &entry.to_api(seq));
            prop_assert_eq!(serde_json::to_vec(&read).unwrap(), out.to_vec());
            let exact = match &read.base64 {
                Some(text) => STANDARD.decode(text).unwrap(),
                None => read.line.into_bytes(),
            };
            prop_assert_eq!(exact, entry.bytes.to_vec());
        }
    }
}
