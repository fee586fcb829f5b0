//! Which paths are taken, and how they are shown.

/// Why a path is refused, or nothing. A path with a segment that means this folder or the one above, encoded or not,
/// would mean another path to whoever resolves it, so it is refused wherever it stands.
pub(crate) fn fault(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("the path does not begin with a slash");
    }
    if path.starts_with("//") {
        return Some("the path begins with two slashes");
    }
    path.split('/').any(is_dots).then_some("the path has a segment `.` or `..`")
}

/// Whether a segment is one or two dots, plain or as `%2e`, also with parameters behind it, which some servers cut off.
fn is_dots(segment: &str) -> bool {
    let mut rest = segment.as_bytes();
    let mut dots = 0;
    loop {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            [] | [b';', ..] => return dots == 1 || dots == 2,
            _ => return false,
        };
        dots += 1;
    }
}

/// Whether a path for which there is no prefix may have been meant for one, if it were decoded: it has an encoded slash,
/// a backslash or a control character. Behind a prefix they are the service's own affair.
pub(crate) fn is_disguised(path: &str) -> bool {
    let bytes = path.as_bytes();
    let encoded = |three: &[u8]| {
        matches!(three, [b'%', b'2', b'f' | b'F'] | [b'%', b'5', b'c' | b'C'] | [b'%', b'0' | b'1', _])
            || three.eq_ignore_ascii_case(b"%7f")
    };
    bytes.iter().any(|byte| *byte == b'\\' || byte.is_ascii_control()) || bytes.windows(3).any(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_dots_are_refused() {
        for path in [
            "/..",
            "/.",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/a/%2e%2e/b",
            "/a/%2E%2e",
            "/%2e",
            "/a/.%2e/b",
            "/a/%2e./b",
            "/a/..;/b",
            "/a/.;x=1/b",
            "//a",
            "//",
            "a",
            "*",
            "",
        ] {
            assert!(fault(path).is_some(), "{path}");
        }
        for path in [
            "/",
            "/a",
            "/a/",
            "/a//b",
            "/...",
            "/a/.b",
            "/a/..b",
            "/a/b..",
            "/.well-known/x",
            "/a/%2e%2e%2fb",
            "/a/%252e",
        ] {
            assert_eq!(fault(path), None, "{path}");
        }
    }

    #[test]
    fn disguises_are_known() {
        for path in ["/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/a%00", "/a%0d", "/a%1F", "/a%7F"] {
            assert!(is_disguised(path), "{path}");
        }
        for path in ["/", "/a/b", "/a%20b", "/é", "/a%2", "/a%e2%82"] {
            assert!(!is_disguised(path), "{path}");
        }
    }
}
