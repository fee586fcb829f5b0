//! A service that calls others: `/call?url=http://127.0.0.1:15001/hello` sends the request's method and
//! body there, and passes the answer's status and body on. Where that fails, the answer is 502 and says
//! at which step: `{"error":"connect 127.0.0.1:15001: connection refused","step":"connect"}`.
//!
//! HTTPS trusts Mozilla's certificate authorities, and those in the PEM file that `SSL_CERT_FILE` names.

mod fetch;
mod tls;

use std::process::ExitCode;

use serde_json::json;
use web::{Body, Request, Response, StatusCode};

fn main() -> ExitCode {
    web::run(web::serve(handle))
}

async fn handle(request: Request<Body>) -> Response<Body> {
    match request.uri().path() {
        "/health" => web::healthy(),
        "/call" => match web::parameter(&request, "url").map(|url| url.parse()) {
            Some(Ok(url)) => fetch::fetch(url, request).await.unwrap_or_else(|failure| {
                let error = json!({ "error": failure.to_string(), "step": failure.step });
                web::json(StatusCode::BAD_GATEWAY, &error)
            }),
            Some(Err(error)) => web::text(StatusCode::BAD_REQUEST, format!("url: {error}\n")),
            None => web::text(StatusCode::BAD_REQUEST, "url is missing: /call?url=http://…\n"),
        },
        _ => web::not_found(),
    }
}
