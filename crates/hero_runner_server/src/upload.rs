//! `POST /modules/{name}` and `POST /modules`: a module as the body of a request, piece by piece to the store.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Request, StatusCode, header};

use crate::body;
use crate::core::{Core, Upload};
use crate::refusal::{self, Refusal};
use crate::routes::Shared;

/// Registers the body under a name.
pub async fn named<C: Core>(
    State(shared): State<Shared<C>>,
    path: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Response {
    match path {
        Ok(Path(name)) => take(&shared, Some(&name), request).await,
        Err(_) => bad_request("name_invalid", "the module's name is not UTF-8"),
    }
}

/// Stores the body without a name: its digest names it.
pub async fn anonymous<C: Core>(State(shared): State<Shared<C>>, request: Request<Body>) -> Response {
    take(&shared, None, request).await
}

async fn take<C: Core>(shared: &Shared<C>, name: Option<&str>, request: Request<Body>) -> Response {
    let sha256 = match request.headers().get("x-sha256").map(HeaderValue::to_str) {
        None => None,
        Some(Ok(digest)) if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Some(digest.to_ascii_lowercase())
        }
        Some(_) => {
            body::drain(request.into_body()).await;
            return bad_request("digest_invalid", "x-sha256 is not 64 hexadecimal digits");
        }
    };
    let mut body = request.into_body();
    let mut upload = match shared.core.upload(name, sha256).await {
        Ok(upload) => upload,
        Err(error) => {
            body::drain(body).await;
            return refusal::reply(error);
        }
    };
    loop {
        match body::piece(&mut body).await {
            Ok(Some(piece)) => {
                if let Err(error) = upload.write(piece).await {
                    body::drain(body).await;
                    return refusal::reply(error);
                }
            }
            Ok(None) => break,
            Err(reply) => return *reply,
        }
    }
    match upload.finish().await {
        Ok(detail) => {
            let text = serde_json::to_vec(&detail).unwrap_or_default();
            ([(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
        Err(error) => refusal::reply(error),
    }
}

fn bad_request(name: &str, message: &str) -> Response {
    let hint =
        "POST /modules/{name} with the file as its body and, if you like, `x-sha256: 64 hexadecimal digits`";
    Refusal::http(name, hint, message).reply(StatusCode::BAD_REQUEST)
}
