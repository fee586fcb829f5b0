//! The head of a handler's answer (RFC 3875, section 6).

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// The most that a head may have, in bytes.
pub(crate) const MAX_HEAD: usize = 64 * 1024;

/// Headers that are between the gateway and its client.
const NOT_ITS_OWN: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    HeaderName::from_static("keep-alive"),
];

/// A head.
#[derive(Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// Reads a head from the beginning of what a handler wrote, and how many bytes it has with its empty line; `None` when it
/// is not there whole.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, String> {
    let (mut status, mut headers, mut at) = (None, HeaderMap::new(), 0);
    while let Some(length) = memchr::memchr(b'\n', &bytes[at..]) {
        let line = &bytes[at..at + length];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        at += length + 1;
        if line.is_empty() {
            if status.is_none() && headers.is_empty() {
                return Err("it has no header: Content-Type, Location or Status is needed".to_owned());
            }
            let moved = headers.contains_key(header::LOCATION);
            let status = status.unwrap_or(if moved { StatusCode::FOUND } else { StatusCode::OK });
            return Ok(Some((Head { status, headers }, at)));
        }
        let shown = || String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        let colon = memchr::memchr(b':', line).ok_or_else(|| format!("{:?} is no header line", shown()))?;
        let name =
            HeaderName::from_bytes(&line[..colon]).map_err(|_| format!("{:?} is no header line", shown()))?;
        let value = line[colon + 1..].trim_ascii();
        if name == "status" {
            let code = value.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            let code = StatusCode::from_bytes(code).ok().filter(|code| code.as_u16() >= 200);
            status = Some(code.ok_or_else(|| format!("{:?} is no status", shown()))?);
            continue;
        }
        let value =
            HeaderValue::from_bytes(value).map_err(|_| format!("{:?} holds what no header can", shown()))?;
        if !NOT_ITS_OWN.contains(&name) {
            headers.append(name, value);
        }
    }
    if bytes.len() > MAX_HEAD {
        return Err(format!("it is longer than {MAX_HEAD} bytes"));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_its_empty_line() {
        let text = b"Status: 418 I'm a teapot\r\nContent-Type: text/plain\nX-A: 1\nX-A: 2\nConnection: close\n\nbody";
        let (head, length) = parse(text).unwrap().unwrap();
        assert_eq!(head.status, 418);
        assert_eq!(head.headers.get_all("x-a").iter().count(), 2);
        assert!(!head.headers.contains_key("connection"));
        assert_eq!(&text[length..], b"body");
        for end in 0..length {
            assert_eq!(parse(&text[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn a_location_is_a_redirect() {
        let (head, _) = parse(b"Location: /elsewhere\n\n").unwrap().unwrap();
        assert_eq!(head.status, StatusCode::FOUND);
    }

    #[test]
    fn what_is_no_head_is_told() {
        for wrong in
            ["\n", "hello, world\n", "Status: abc\n\n", "Status: 100\n\n", "A B: c\n\n", "X: a\u{1}b\n\n"]
        {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(parse(&vec![b'a'; MAX_HEAD + 1]).is_err());
    }
}
