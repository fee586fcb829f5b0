//! A request as it goes over the wire, made once for all users.

use std::rc::Rc;

use scenario_url::Url;

use crate::bindings::exports::hero::scenario::http_action::Request;
use crate::origin::Origin;

/// What the request says who we are.
const AGENT: &str = concat!("hero-scenario/", env!("CARGO_PKG_VERSION"));

/// A request that is ready to be sent.
pub(crate) struct Action {
    pub(crate) origin: Rc<Origin>,
    /// Head and body.
    pub(crate) bytes: Vec<u8>,
    /// Whether it is a HEAD request, whose answer has no body.
    pub(crate) head: bool,
    /// In nanoseconds.
    pub(crate) timeout: u64,
    pub(crate) keep_alive: bool,
}

impl Action {
    /// Checks, resolves, and writes down.
    pub(crate) fn prepare(request: Request) -> Result<Self, String> {
        let url = Url::parse(&request.url)?;
        let bytes = wire(&request, &url)?;
        let origin = Origin::find(&url, request.ca.as_deref(), request.timeout)?;
        let head = request.method == "HEAD";
        Ok(Self { origin, bytes, head, timeout: request.timeout, keep_alive: request.keep_alive })
    }
}

fn wire(request: &Request, url: &Url) -> Result<Vec<u8>, String> {
    let named = |name: &str| request.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    let mut lines = vec![format!("{} {} HTTP/1.1", request.method, url.target)];
    if !named("host") {
        lines.push(format!("Host: {}", url.authority()));
    }
    if !named("user-agent") {
        lines.push(format!("User-Agent: {AGENT}"));
    }
    if !named("accept") {
        lines.push("Accept: */*".to_owned());
    }
    if !request.body.is_empty() || ["POST", "PUT", "PATCH"].contains(&request.method.as_str()) {
        lines.push(format!("Content-Length: {}", request.body.len()));
    }
    if !request.keep_alive {
        lines.push("Connection: close".to_owned());
    }
    lines.extend(request.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    // A line break in one of them would be the start of another request.
    if let Some(line) = lines.iter().find(|line| line.contains(['\r', '\n', '\0'])) {
        return Err(format!("there is a line break in {line:?}"));
    }
    let mut bytes = (lines.join("\r\n") + "\r\n\r\n").into_bytes();
    bytes.extend_from_slice(&request.body);
    Ok(bytes)
}
