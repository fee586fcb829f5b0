//! The URLs that a scenario may name: `http://` and `https://`, with a host, a port and a path.

use std::fmt;

/// A URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https`.
    pub secure: bool,
    /// A name or an address, in lower case; IPv6 without brackets.
    pub host: String,
    /// The port, or what the scheme says.
    pub port: u16,
    /// Path and query: what the request asks for.
    pub target: String,
}

impl Url {
    /// Takes a URL apart, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("{text:?} is no URL for a request: {what}"));
        if text.chars().any(|letter| !letter.is_ascii_graphic()) {
            return wrong("only visible ASCII characters may be in it, others as %XX");
        }
        let (secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            _ => return wrong("it must begin with http:// or https://"),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return wrong("say who you are in a header, not in front of the host");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => match inner.split_once(']') {
                Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, rest),
                _ => return wrong("in [] there must be an IPv6 address"),
            },
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(fits) {
            return wrong("it has no host");
        }
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => usual(secure),
            Some(number) => match number.parse() {
                Ok(port) if port > 0 => port,
                _ => return wrong("a port is a number from 1 to 65535"),
            },
            None => return wrong("after the host comes a port or a path"),
        };
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { secure, host: host.to_ascii_lowercase(), port, target })
    }

    /// The host and, unless it is the scheme's own, the port: what the `Host` header says.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port == usual(self.secure) {
            true => Bracketed(&self.host).to_string(),
            false => self.destination(),
        }
    }

    /// Host and port.
    #[must_use]
    pub fn destination(&self) -> String {
        format!("{}:{}", Bracketed(&self.host), self.port)
    }
}

/// The port of a scheme.
fn usual(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// A host as it stands in front of a port.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_apart() {
        let url = Url::parse("HTTPS://Example.org/a?b=c#d").unwrap();
        assert!(url.secure && url.host == "example.org" && url.port == 443 && url.target == "/a?b=c");
        assert_eq!((url.authority(), url.destination()), ("example.org".into(), "example.org:443".into()));
        let url = Url::parse("http://[::1]:8080?x").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.target.as_str()), ("::1", 8080, "/?x"));
        assert_eq!(url.authority(), "[::1]:8080");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("ftp://a/", "begin with"),
            ("localhost:80", "begin with"),
            ("http://", "no host"),
            ("http://a:0/", "1 to 65535"),
            ("http://a:99999", "1 to 65535"),
            ("http://a b/", "visible ASCII"),
            ("http://me:pw@a/", "header"),
            ("http://[::g]/", "IPv6"),
            ("http://[::1]x/", "a port or a path"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.contains(says) && error.contains(text), "{error}");
        }
    }
}
