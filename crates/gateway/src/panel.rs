//! The UI's panel: `/` and what lies under `/-/`, for requests that a browser did not send on behalf of another site.
//!
//! The services share the gateway's origin, so of the UI only the panel is there: it has no scripts, and what it can do is
//! little.

use std::path::Path;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::{Method, StatusCode};

use crate::answer::{Answer, Refused};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a path is the UI's.
pub(crate) fn owns(path: &str) -> bool {
    path == "/" || path == "/-" || path.starts_with("/-/")
}

/// Where the UI has what is asked for here: `/panel` for `/`, `/panel/-/…` for `/-/…`.
pub(crate) fn place(target: &str) -> String {
    match target.strip_prefix('/') {
        Some(rest) if rest.is_empty() || rest.starts_with('?') => format!("/panel{rest}"),
        _ => format!("/panel{target}"),
    }
}

/// Refuses what another site made a browser send. `hosts` are further names for this machine; without them, as on the
/// Unix socket, which no browser reaches, every `Host` passes.
pub(crate) fn check(
    method: &Method,
    headers: &HeaderMap,
    upgrading: bool,
    hosts: Option<&[String]>,
) -> Result<(), Refused> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if hosts.is_some_and(|hosts| !is_known(host, hosts)) {
        // A name of somebody else that resolves to this machine (DNS rebinding) looks like this.
        let message = format!("the UI is not served under the name `{}`", shown(host));
        let hint = "use localhost, or add the name to the gateway's hosts";
        return Err(Answer::new(StatusCode::FORBIDDEN, "host_refused", message, hint));
    }
    // A WebSocket is opened by GET, from any site, and may change everything.
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) && !upgrading {
        return Ok(());
    }
    let same_origin = headers.get_all(ORIGIN).iter().all(|origin| is_origin_of(origin, host));
    let same_site =
        headers.get_all(SEC_FETCH_SITE).iter().all(|site| *site == "same-origin" || *site == "none");
    if same_origin && same_site {
        return Ok(());
    }
    let message = "this request comes from another site";
    Err(Answer::new(StatusCode::FORBIDDEN, "origin_refused", message, "use the UI's own pages"))
}

/// Whether a `Host`, with any port, is a name for this machine.
fn is_known(host: &str, hosts: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let own = ["localhost", "127.0.0.1", "[::1]"].into_iter();
    own.chain(hosts.iter().map(String::as_str)).any(|known| {
        !known.is_empty() && (known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(host))
    })
}

/// Whether an origin, such as `http://localhost:8080`, is the host that the request was sent to.
fn is_origin_of(origin: &HeaderValue, host: &str) -> bool {
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

/// What a client is shown of what it sent: bounded.
fn shown(host: &str) -> String {
    host.chars().take(64).collect()
}

/// The answer when nobody listens on the UI's socket.
pub(crate) fn not_running(socket: &Path) -> Refused {
    tracing::debug!(socket = %socket.display(), "the UI does not answer");
    let message = "the UI (hero_runner_ui) is not running";
    let mut answer = Answer::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "ui_not_running",
        message,
        "start it: hero_runner --start",
    );
    answer.service = Some("hero_runner_ui".to_owned());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_panel_is_behind_the_gateway() {
        for (target, there) in [
            ("/", "/panel"),
            ("/?hold", "/panel?hold"),
            ("/-/style.css", "/panel/-/style.css"),
            ("/-", "/panel/-"),
            ("/-/../rpc?x", "/panel/-/../rpc?x"),
        ] {
            assert_eq!(place(target), there);
        }
    }

    #[test]
    fn hosts_of_this_machine_are_known_with_any_port() {
        let hosts = ["box.example".to_owned(), "other:81".to_owned()];
        for host in
            ["localhost", "LocalHost:1", "127.0.0.1:8080", "[::1]", "[::1]:80", "box.example:9", "other:81"]
        {
            assert!(is_known(host, &hosts), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil",
            "[::2]",
            "::1",
            "other:82",
            "localhost:80:80",
        ] {
            assert!(!is_known(host, &hosts), "{host}");
        }
    }

    #[test]
    fn what_changes_something_comes_from_the_same_origin() {
        let check = |method: Method, upgrading, fields: &[(HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:8080"));
            for (name, value) in fields {
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            super::check(&method, &headers, upgrading, Some(&[])).is_ok()
        };
        let other = [(ORIGIN, "http://evil.example")];
        assert!(check(Method::GET, false, &other));
        assert!(!check(Method::GET, true, &other));
        assert!(!check(Method::POST, false, &other));
        assert!(!check(Method::POST, false, &[(ORIGIN, "null")]));
        assert!(!check(Method::POST, false, &[(ORIGIN, "http://localhost:81")]));
        assert!(!check(
            Method::POST,
            false,
            &[(ORIGIN, "http://localhost:8080"), (ORIGIN, "http://evil.example")]
        ));
        assert!(!check(Method::DELETE, false, &[(SEC_FETCH_SITE, "same-site")]));
        assert!(!check(Method::DELETE, false, &[(SEC_FETCH_SITE, "cross-site")]));
        assert!(check(Method::POST, false, &[]));
        assert!(check(Method::POST, false, &[(SEC_FETCH_SITE, "none")]));
        assert!(check(
            Method::POST,
            true,
            &[(ORIGIN, "http://LOCALHOST:8080"), (SEC_FETCH_SITE, "same-origin")]
        ));
    }
}
