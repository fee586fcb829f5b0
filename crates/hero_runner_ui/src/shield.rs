//! What a browser is told not to do.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Not `no-referrer`: with it a browser sends forms with `Origin: null`, which the gateway has to refuse.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
];

/// Puts the headers on a reply, whatever it is.
pub(crate) async fn put_on(mut reply: Response) -> Response {
    for (name, value) in HEADERS {
        reply.headers_mut().insert(name, value);
    }
    reply
}
