//! What a browser is told not to do.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

/// Scripts, styles and pictures are the program's own files; nothing in a page is a script, a style or a handler.
const DASHBOARD: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// No scripts at all: behind the gateway, `'self'` are also the services.
const PANEL: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Not `no-referrer`: with it a browser sends forms with `Origin: null`, which the gateway has to refuse.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    // No other page keeps a hand on a window that it opened here, or reads what is served as if it were a picture.
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Puts the headers on a reply, whatever it is.
pub(crate) async fn put_on(mut reply: Response) -> Response {
    let headers = reply.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(DASHBOARD);
    reply
}

/// Puts the panel's own policy on a reply.
pub(crate) async fn panel(mut reply: Response) -> Response {
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, PANEL);
    reply
}
