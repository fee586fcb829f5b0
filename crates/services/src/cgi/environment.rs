//! A request as a handler's environment: CGI/1.1 (RFC 3875), and what WAGI adds.

use std::collections::BTreeMap;

use gateway::Call;
use http::{HeaderName, header};

/// Headers that have variables of their own, or are no business of a program's. `Proxy` would be taken for a setting
/// (CVE-2016-5385).
const LEFT_OUT: [HeaderName; 3] =
    [header::CONTENT_LENGTH, header::CONTENT_TYPE, HeaderName::from_static("proxy")];

/// The environment of this call; `length` is that of the body when it is known.
pub(crate) fn environment(call: &Call, length: Option<u64>) -> BTreeMap<String, String> {
    let (request, headers) = (&call.request, call.request.headers());
    let text = |name: &HeaderName| {
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let host = text(&header::HOST).or_else(|| request.uri().authority().map(|at| at.as_str().to_owned()));
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => {
            (name.to_owned(), port.to_owned())
        }
        _ => (host.clone(), "80".to_owned()),
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let script = format!("/{}", call.prefix);
    let raw = call.rest.split('?').next().unwrap_or("/").to_owned();
    let scheme = if call.https { "https" } else { "http" };
    let mark = if query.is_empty() { "" } else { "?" };
    let peer = call.peer.map_or_else(|| "127.0.0.1".to_owned(), |peer| peer.ip().to_string());
    let decoded = percent_decoded(&raw);
    let mut variables: BTreeMap<String, String> = [
        ("GATEWAY_INTERFACE", "CGI/1.1".to_owned()),
        ("SERVER_SOFTWARE", format!("hero_runner/{}", api::VERSION)),
        ("SERVER_PROTOCOL", format!("{:?}", request.version())),
        ("SERVER_NAME", name),
        ("SERVER_PORT", port),
        ("REQUEST_METHOD", request.method().as_str().to_owned()),
        ("SCRIPT_NAME", script.clone()),
        ("PATH_INFO", decoded.clone()),
        ("PATH_TRANSLATED", decoded),
        ("QUERY_STRING", query.clone()),
        ("REQUEST_URI", format!("{script}{raw}{mark}{query}")),
        ("REMOTE_ADDR", peer.clone()),
        ("REMOTE_HOST", peer),
        ("REMOTE_USER", String::new()),
        ("AUTH_TYPE", String::new()),
        ("X_FULL_URL", format!("{scheme}://{host}{script}{raw}{mark}{query}")),
        ("X_MATCHED_ROUTE", format!("{script}/...")),
        ("X_RAW_PATH_INFO", raw),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    variables
        .insert("CONTENT_LENGTH".to_owned(), length.map(|length| length.to_string()).unwrap_or_default());
    variables.insert("CONTENT_TYPE".to_owned(), text(&header::CONTENT_TYPE).unwrap_or_default());
    for name in headers.keys() {
        // `a_b` and `a-b` would be one variable, and only the second is what clients mean.
        if LEFT_OUT.contains(name) || name.as_str().contains('_') {
            continue;
        }
        let values: Vec<String> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let between = if *name == header::COOKIE { "; " } else { ", " };
        let variable = format!("HTTP_{}", name.as_str().replace('-', "_").to_ascii_uppercase());
        variables.insert(variable, values.join(between));
    }
    // No variable can hold one.
    for value in variables.values_mut() {
        value.retain(|letter| letter != '\0');
    }
    variables
}

fn percent_decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}
