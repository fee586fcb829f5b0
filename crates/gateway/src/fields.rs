//! The header fields that a proxy takes away and adds (RFC 9110, section 7.6; RFC 7239).

use http::Response;
use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

use hyper::body::Body as _;

use crate::body::Body;
use crate::client::Client;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether a field is for one connection only. `Trailer` stays, as RFC 9110 has it: it announces fields that travel on.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    match *name {
        CONNECTION | TE | TRANSFER_ENCODING | UPGRADE | PROXY_AUTHENTICATE | PROXY_AUTHORIZATION => true,
        // The others are `Keep-Alive`, what is left of `Proxy-*`, and the variable of a CGI script (httpoxy).
        _ => {
            let name = name.as_str();
            name == "keep-alive" || name == "http2-settings" || name == "proxy" || name.starts_with("proxy-")
        }
    }
}

/// Whether a client's word about itself is replaced.
fn is_claim(name: &HeaderName) -> bool {
    name.as_str().strip_prefix("x-forwarded-").is_some_and(|rest| rest != "for")
}

/// Takes away what is for one connection only, and what `Connection` names.
pub(crate) fn strip(headers: &mut HeaderMap, and: impl Fn(&HeaderName) -> bool) {
    if headers.get_all(CONNECTION).iter().any(|value| !is_common(value)) {
        let named = headers.get_all(CONNECTION).iter().flat_map(tokens);
        let named: Vec<HeaderName> = named.filter_map(|name| name.parse().ok()).collect();
        // Without this one a request would mean something else, whoever says that it were for one connection.
        for name in named.iter().filter(|name| **name != HOST) {
            headers.remove(name);
        }
    }
    let gone: Vec<HeaderName> =
        headers.keys().filter(|name| is_hop_by_hop(name) || and(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// A value of `Connection` that names nothing else.
fn is_common(value: &HeaderValue) -> bool {
    value.as_bytes().eq_ignore_ascii_case(b"keep-alive") || value.as_bytes().eq_ignore_ascii_case(b"close")
}

/// The members of a list, in lower case.
fn tokens(value: &HeaderValue) -> impl Iterator<Item = String> + '_ {
    value.to_str().unwrap_or_default().split(',').map(|token| token.trim().to_ascii_lowercase())
}

/// Whether one of the fields of this name has the member.
fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers.get_all(name).iter().flat_map(tokens).any(|token| token == wanted)
}

/// The other protocol that a client asks for, if it does (RFC 9110, section 7.8).
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(UPGRADE).filter(|value| crate::guard::is_upgrade(value.as_bytes()))?;
    has_token(headers, &CONNECTION, "upgrade").then(|| value.clone())
}

/// Makes a client's header the one for an upstream.
pub(crate) fn forward(headers: &mut HeaderMap, client: &Client, prefix: Option<&HeaderValue>) {
    let trailers = headers.contains_key(TE) && has_token(headers, &TE, "trailers");
    strip(headers, is_claim);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(address) = &client.forwarded_for {
        let value = match headers.contains_key(X_FORWARDED_FOR) {
            true => append(headers, &X_FORWARDED_FOR, address.as_bytes()),
            false => Some(address.clone()),
        };
        set(headers, X_FORWARDED_FOR, value);
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    let forwarded = match headers.get(HOST).cloned() {
        Some(host) => {
            let value = client.forwarded(&host, element);
            headers.insert(X_FORWARDED_HOST, host);
            value
        }
        None => HeaderValue::try_from(format!("for={};proto=http", client.node)).ok(),
    };
    let value = match forwarded {
        Some(value) if headers.contains_key(FORWARDED) => append(headers, &FORWARDED, value.as_bytes()),
        value => value,
    };
    set(headers, FORWARDED, value);
    if let Some(prefix) = prefix {
        headers.insert(X_FORWARDED_PREFIX, prefix.clone());
    }
}

/// What `Forwarded` says of one step.
fn element(node: &str, host: &HeaderValue) -> Option<HeaderValue> {
    // The guard and h2 let no quote and no backslash into the host.
    let parts = [b"for=", node.as_bytes(), b";host=\"", host.as_bytes(), b"\";proto=http"];
    HeaderValue::from_bytes(&parts.concat()).ok()
}

/// Leaves a response with one word about its length: an upstream's chunks count more than its `Content-Length`, and a
/// list of equal lengths is one (RFC 9112, section 6.3). hyper has read the body by the same rules.
pub(crate) fn one_length(response: &mut Response<Body>) {
    let chunked = response.headers().contains_key(TRANSFER_ENCODING);
    let mut lengths = response.headers().get_all(CONTENT_LENGTH).iter();
    let single = lengths.next().is_none_or(|length| length.as_bytes().iter().all(u8::is_ascii_digit));
    if single && lengths.next().is_none() && !chunked {
        return;
    }
    let size = response.body().size_hint().exact().filter(|_| !chunked);
    let headers = response.headers_mut();
    set(headers, CONTENT_LENGTH, size.map(HeaderValue::from));
}

/// What the fields of this name say, with one more member.
fn append(headers: &HeaderMap, name: &HeaderName, last: &[u8]) -> Option<HeaderValue> {
    let mut parts: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    parts.push(last);
    HeaderValue::from_bytes(&parts.join(&b", "[..])).ok()
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}
