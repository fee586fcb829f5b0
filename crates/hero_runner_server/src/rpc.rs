//! `POST /rpc`: JSON-RPC 2.0 over HTTP.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Request, StatusCode, header};

use crate::core::Core;
use crate::refusal::Refusal;
use crate::routes::Shared;
use crate::{body, envelope};

/// The handler. JSON-RPC errors are replies like others, at status 200.
pub async fn call<C: Core>(State(shared): State<Shared<C>>, request: Request<Body>) -> Response {
    if !is_json(request.headers()) {
        let hint = "send the header `content-type: application/json`";
        let message = "the content type of the request is not application/json";
        return Refusal::http("media_type", hint, message).reply(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let body = match body::whole(request.into_body(), shared.body_max).await {
        Ok(body) => body,
        Err(reply) => return *reply,
    };
    match envelope::answer(&shared.methods, shared.limits, &body).await {
        Some(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// A page of a foreign site can send text or a form without asking anyone, but not this type.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split_once(';').map_or(value, |(kind, _)| kind);
    kind.trim().eq_ignore_ascii_case("application/json")
}
