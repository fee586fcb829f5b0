//! Whom a request was meant for, and which page made a browser send it.

use axum::http::header::{HOST, HeaderMap, ORIGIN};
use axum::http::{HeaderName, Method, Uri};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The names under which the pages are served through the port.
#[derive(Debug, Clone)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// The names of this machine, and `more`: with the port where they do not name one of their own.
    #[must_use]
    pub fn new(port: u16, more: &[String]) -> Self {
        let own = ["localhost", "127.0.0.1", "[::1]"].into_iter();
        let names = own.chain(more.iter().map(String::as_str)).filter(|name| !name.is_empty());
        let with_port = |name: &str| {
            if port_of(name).is_some() {
                name.to_ascii_lowercase()
            } else {
                format!("{}:{port}", name.to_ascii_lowercase())
            }
        };
        Self(names.map(with_port).collect())
    }

    fn has(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        // A browser leaves out the port that the scheme has anyway.
        let host = if port_of(&host).is_some() { host } else { format!("{host}:80") };
        self.0.contains(&host)
    }
}

fn port_of(authority: &str) -> Option<u16> {
    let (name, port) = authority.rsplit_once(':')?;
    // The colons of an IPv6 address stand in brackets.
    if name.contains('[') != name.ends_with(']') {
        return None;
    }
    port.parse().ok()
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// It names another host: a name of somebody else that leads to this machine (DNS rebinding) looks like this.
    Host,
    /// A page of another origin made the browser send it.
    Origin,
}

/// Whether a request is for this place and from one of its own pages, or from no page at all.
///
/// # Errors
/// What is foreign about it.
pub fn check(method: &Method, uri: &Uri, headers: &HeaderMap, hosts: &Hosts) -> Result<(), Foreign> {
    let mut named = headers.get_all(HOST).iter();
    let host = named.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    if named.next().is_some() || uri.authority().is_some() || !hosts.has(host) {
        return Err(Foreign::Host);
    }
    let own = format!("http://{host}");
    let one = |name: HeaderName, wanted: &str| headers.get(name).is_some_and(|value| value == wanted);
    if !headers.get_all(ORIGIN).iter().all(|origin| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes())) {
        return Err(Foreign::Origin);
    }
    // `same-site` is foreign, too: the services behind the gateway are on another port of the same host.
    if headers.get_all(SITE).iter().all(|site| *site == "same-origin" || *site == "none") {
        return Ok(());
    }
    // Following a link from elsewhere only shows a page, and no page of ours does anything by being shown.
    let navigates = one(MODE, "navigate") && one(DEST, "document");
    if navigates && matches!(*method, Method::GET | Method::HEAD) { Ok(()) } else { Err(Foreign::Origin) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(method: Method, fields: &[(&str, &str)]) -> Result<(), Foreign> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        check(
            &method,
            &Uri::from_static("/rpc"),
            &headers,
            &Hosts::new(14001, &["box.example".into(), "tunnel:9".into()]),
        )
    }

    #[test]
    fn only_names_of_this_machine_with_its_port_are_served() {
        for host in [
            "localhost:14001",
            "LocalHost:14001",
            "127.0.0.1:14001",
            "[::1]:14001",
            "box.example:14001",
            "tunnel:9",
        ] {
            assert_eq!(checked(Method::GET, &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "",
            "localhost",
            "localhost:14000",
            "evil.example:14001",
            "127.0.0.1.evil.example:14001",
            "[::2]:14001",
            "::1:14001",
            "tunnel:14001",
            "localhost:14001:14001",
            "localhost:14001@evil",
        ] {
            assert_eq!(checked(Method::GET, &[("host", host)]), Err(Foreign::Host), "{host}");
        }
        assert_eq!(checked(Method::GET, &[]), Err(Foreign::Host));
        let two = [("host", "localhost:14001"), ("host", "localhost:14001")];
        assert_eq!(checked(Method::GET, &two), Err(Foreign::Host));
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost:80".parse().unwrap());
        let absolute = Uri::from_static("http://evil.example/");
        assert_eq!(check(&Method::GET, &absolute, &headers, &Hosts::new(80, &[])), Err(Foreign::Host));
        headers.insert(HOST, "localhost".parse().unwrap());
        assert_eq!(check(&Method::GET, &Uri::from_static("/"), &headers, &Hosts::new(80, &[])), Ok(()));
    }

    #[test]
    fn other_pages_may_link_here_and_nothing_else() {
        let host = ("host", "localhost:14001");
        let link = [
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(checked(Method::GET, &link), Ok(()));
        assert_eq!(checked(Method::POST, &link), Err(Foreign::Origin), "a form of another page");
        for (site, mode, dest) in [
            ("cross-site", "no-cors", "script"),
            ("same-site", "no-cors", "image"),
            ("cross-site", "navigate", "iframe"),
            ("same-site", "cors", "empty"),
        ] {
            let fields = [host, ("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            assert_eq!(checked(Method::GET, &fields), Err(Foreign::Origin), "{site} {mode} {dest}");
        }
        assert_eq!(checked(Method::POST, &[host, ("sec-fetch-site", "same-origin")]), Ok(()));
        for method in [Method::GET, Method::POST] {
            for origin in [
                "http://evil.example",
                "null",
                "http://localhost:14000",
                "https://localhost:14001",
                "http://127.0.0.1:14001",
            ] {
                assert_eq!(
                    checked(method.clone(), &[host, ("origin", origin)]),
                    Err(Foreign::Origin),
                    "{origin}"
                );
            }
            assert_eq!(checked(method.clone(), &[host, ("origin", "http://localhost:14001")]), Ok(()));
            assert_eq!(checked(method, &[host]), Ok(()), "no browser");
        }
    }
}
