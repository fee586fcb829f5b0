//! How far a deployment is, as server-sent events: `received`, `unpacked`, `compiled`, `starting`, `ready`, and at the end one
//! of `deployed`, `unchanged` and `error`. The data is JSON; that of `error` is what the body would be without events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use serde::Serialize;
use services::PackageUpload;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::ending;
use crate::refusal::Refusal;

/// How often a silent stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The reply to an upload that is here, while it is deployed.
pub(super) fn reply(upload: PackageUpload) -> Response {
    let (tell, told) = unbounded_channel();
    tokio::spawn(deploy(upload, tell));
    let fields = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (fields, Body::from_stream(stream::unfold(told, next))).into_response()
}

async fn next(
    mut told: UnboundedReceiver<Bytes>,
) -> Option<(Result<Bytes, Infallible>, UnboundedReceiver<Bytes>)> {
    let event = match tokio::time::timeout(KEEP_ALIVE, told.recv()).await {
        Ok(event) => event?,
        Err(_) => Bytes::from_static(b": alive\n\n"),
    };
    Some((Ok(event), told))
}

async fn deploy(upload: PackageUpload, tell: UnboundedSender<Bytes>) {
    // Who went away does not hear of it, and it is deployed all the same.
    let stages = tell.clone();
    let told = move |stage: services::Stage| _ = stages.send(event(stage.name(), &stage));
    let last = match upload.finish(told).await {
        Ok(release) => event(ending(&release), &release.deployed),
        Err(error) => event("error", &Refusal::from(error)),
    };
    let _ = tell.send(last);
}

fn event(name: &str, data: &impl Serialize) -> Bytes {
    // JSON escapes every control character, so it is one line.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}
