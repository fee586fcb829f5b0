//! `POST /upload`: a package as the body of a request becomes a new version of its service.
//!
//! On `rpc.sock` anybody may who can connect to it; on the gateway whoever brings a token of the settings.

mod door;
mod progress;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap};
use http::{Request, StatusCode};
use package::archive::Format;
use services::{PackageUpload, Release, Services};

use crate::body;
use crate::core::Core;
use crate::refusal::{self, Refusal};
use crate::routes::Shared;

pub use door::Door;

/// The digest that a package is to have.
const DIGEST: &str = "x-content-sha256";
const HINT: &str = "POST /upload[?name=NAME] with a tar, tar.gz or zip as its body, its content-type, and, if you like, \
                    `x-content-sha256: 64 hexadecimal digits`";

/// The handler on `rpc.sock`.
pub async fn post<C: Core>(State(shared): State<Shared<C>>, request: Request<Body>) -> Response {
    match shared.core.services() {
        Some(services) => take(services, request).await,
        None => {
            Refusal::http("path_not_found", HINT, "nothing is deployed here").reply(StatusCode::NOT_FOUND)
        }
    }
}

/// Takes a package and answers when it serves, or says why it does not.
async fn take(services: &Services, request: Request<Body>) -> Response {
    let (head, mut body) = request.into_parts();
    let mut upload = match begin(services, head.uri.query(), &head.headers).await {
        Ok(upload) => upload,
        Err(reply) => {
            body::drain(body).await;
            return *reply;
        }
    };
    loop {
        match body::piece(&mut body).await {
            Ok(Some(piece)) => {
                if let Err(error) = upload.write(piece).await {
                    drop(upload);
                    body::drain(body).await;
                    return refusal::reply(error);
                }
            }
            Ok(None) => break,
            Err(reply) => return *reply,
        }
    }
    if wants_events(&head.headers) {
        return progress::reply(upload);
    }
    match upload.finish(|_| ()).await {
        Ok(release) => {
            let status = if release.unchanged { StatusCode::OK } else { StatusCode::CREATED };
            let text = serde_json::to_vec(&release.deployed).unwrap_or_default();
            (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
        Err(error) => refusal::reply(error),
    }
}

async fn begin(
    services: &Services,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<PackageUpload, Box<Response>> {
    let bad = |name: &str, message: String| {
        Box::new(Refusal::http(name, HINT, message).reply(StatusCode::BAD_REQUEST))
    };
    let mut name = None;
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            // A service's name needs no escapes; what has some is no name.
            Some(("name", text)) => name = Some(text.to_owned()),
            _ => return Err(bad("invalid_query", format!("`{}` is not name=NAME", shown(pair)))),
        }
    }
    let kind = headers.get(header::CONTENT_TYPE).map_or(Ok("application/octet-stream"), |kind| kind.to_str());
    if !kind.is_ok_and(Format::takes) {
        let message = "a package is application/x-tar, application/gzip or application/zip";
        let reply = Refusal::http("media_type_not_supported", HINT, message);
        return Err(Box::new(reply.reply(StatusCode::UNSUPPORTED_MEDIA_TYPE)));
    }
    let sha256 = match headers.get(DIGEST).map(|text| text.to_str()) {
        None => None,
        Some(Ok(text)) => Some(text.trim().to_owned()),
        Some(Err(_)) => return Err(bad("digest_invalid", format!("{DIGEST} is not 64 hexadecimal digits"))),
    };
    services.package_upload(name, sha256).await.map_err(|error| Box::new(refusal::reply(error)))
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|one| {
        one.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
    })
}

/// What comes back is bounded, whatever was sent.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The name of the last event.
fn ending(release: &Release) -> &'static str {
    if release.unchanged { "unchanged" } else { "deployed" }
}
