//! `GET /sessions/{id}/log.txt`: the whole log as text, page by page, never held in memory.

use api::log::{LogKind, LogPage, SessionLogs};
use api::method::SessionLogsMethod;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};
use client::Client;
use futures_util::stream;
use serde::Deserialize;

use super::problem;
use crate::server::{self, Failure};
use crate::shell::Visit;

/// The most that the server puts on a page.
const PAGE: u32 = 10_000;

/// What is in the address.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    /// Only what was written to this stream.
    stream: Option<LogKind>,
}

pub(crate) async fn show(visit: Visit, Path(id): Path<String>, Query(choice): Query<Choice>) -> Response {
    let server = visit.app.server.clone();
    // Whether there is such a session shows in the first page.
    let first = match page(&server, &id, None).await {
        Ok(first) => first,
        Err(failure) => {
            let shell = visit.shell("problem", "sessions", "Log").await;
            return problem::failed_with_way(shell, &failure, Some(("/sessions", "All sessions")));
        }
    };
    let plain: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{plain}.log\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let pages = stream::try_unfold(Some(first), move |current| {
        let (server, id) = (server.clone(), id.clone());
        async move {
            let Some(current) = current else { return Ok(None) };
            let text = text(&current, choice.stream);
            // What comes later is not waited for: a session that still runs is shown up to now.
            let more = !current.lines.is_empty() && !current.end;
            let next = match current.next_seq.checked_sub(1).filter(|_| more) {
                Some(last) => Some(page(&server, &id, Some(last)).await.map_err(|failure| failure.reason)?),
                None => None,
            };
            Ok::<_, String>(Some((text, next)))
        }
    });
    (headers, Body::from_stream(pages)).into_response()
}

async fn page(server: &Client, id: &str, after_seq: Option<u64>) -> Result<LogPage, Failure> {
    let wanted =
        SessionLogs { session_id: id.to_owned(), after_seq, limit: Some(PAGE), ..SessionLogs::default() };
    server::ask::<SessionLogsMethod>(server, wanted).await
}

/// The lines as the guest wrote them.
fn text(page: &LogPage, only: Option<LogKind>) -> Bytes {
    let mut text = BytesMut::new();
    if page.gap > 0 {
        text.put_slice(format!("[{} lines are no longer there]\n", page.gap).as_bytes());
    }
    for line in page.lines.iter().filter(|line| only.is_none_or(|only| line.kind == only)) {
        match line.base64.as_ref().and_then(|base64| BASE64_STANDARD.decode(base64).ok()) {
            Some(exact) => text.put_slice(&exact),
            None => text.put_slice(line.line.as_bytes()),
        }
        if !line.partial {
            text.put_u8(b'\n');
        }
    }
    text.freeze()
}
