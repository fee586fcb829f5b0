//! `GET /sse/session/{id}`: a session's log as server-sent events.
//!
//! A line is `id: SEQ`, `event: stdout|stderr|host` and one `data:` field with the JSON of [`api::LogLine`]. JSON escapes
//! every control character, so nothing that a guest prints can end a field or begin another.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use api::log::Gap;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, Stream};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use supervisor::logs::{Batch, LogEvent};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::core::Core;
use crate::escape;
use crate::refusal::{self, Refusal};
use crate::routes::Shared;

/// How often a silent stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The handler.
pub async fn session<C: Core>(
    State(shared): State<Shared<C>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let hint = "the path is /sse/session/{id}[?after_seq=N]; Last-Event-ID is the id of the last event seen";
    let refuse = |why: String| Refusal::http("invalid_resume", hint, why).reply(StatusCode::BAD_REQUEST);
    let Ok(Path(id)) = path else {
        return refuse("the session's id is not UTF-8".to_owned());
    };
    let after = match resume_point(&headers, query.as_deref()) {
        Ok(after) => after,
        Err(why) => return refuse(why),
    };
    match shared.core.subscribe(&id, after).await {
        Ok(events) => {
            let fields = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
            (fields, Body::from_stream(Feed::new(events, after))).into_response()
        }
        Err(error) => refusal::reply(error),
    }
}

/// The last sequence number that the client has. A header, which the browser sends by itself, is newer than the address.
fn resume_point(headers: &HeaderMap, query: Option<&str>) -> Result<Option<u64>, String> {
    let mut after = None;
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("after_seq", number)) => after = Some(whole("after_seq", number)?),
            _ => return Err(format!("`{pair}` is not after_seq=N")),
        }
    }
    match headers.get("last-event-id").map(http::HeaderValue::to_str) {
        None | Some(Ok("")) => Ok(after),
        Some(Ok(number)) => whole("Last-Event-ID", number).map(Some),
        Some(Err(_)) => Err("Last-Event-ID is not a sequence number".to_owned()),
    }
}

fn whole(name: &str, text: &str) -> Result<u64, String> {
    // `parse` would take a plus sign, and the number after the last one does not exist.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten().filter(|number| *number < u64::MAX);
    number.ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        format!("{name} is not a sequence number: `{shown}`")
    })
}

/// The stream of a reply's body.
struct Feed {
    events: BoxStream<'static, LogEvent>,
    /// The sequence number that the client expects next.
    next: u64,
    begun: bool,
    ended: bool,
    alive: Interval,
}

impl Feed {
    fn new(events: BoxStream<'static, LogEvent>, after: Option<u64>) -> Self {
        let mut alive = tokio::time::interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { events, next: after.map_or(0, |seq| seq + 1), begun: false, ended: false, alive }
    }

    fn encode(&mut self, event: &LogEvent) -> Bytes {
        match event {
            LogEvent::Lines(batch) => {
                let from = self.next.max(batch.first_seq);
                self.next = self.next.max(batch.next_seq());
                if from == batch.first_seq {
                    batch.encoded(|batch| lines(batch, batch.first_seq))
                } else {
                    lines(batch, from)
                }
            }
            LogEvent::Gap(gap) => {
                self.next = self.next.max(gap.next_seq);
                gap_event(*gap)
            }
            LogEvent::State(state) => event_text("state", &json!({ "state": state })),
            LogEvent::End(outcome) => {
                self.ended = true;
                event_text("end", &json!({ "outcome": outcome, "state": outcome.state() }))
            }
        }
    }
}

impl Stream for Feed {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.begun {
            self.begun = true;
            return Poll::Ready(Some(Ok(Bytes::from_static(b"retry: 1000\n\n"))));
        }
        while !self.ended {
            match self.events.as_mut().poll_next(cx) {
                Poll::Ready(Some(event)) => {
                    let bytes = self.encode(&event);
                    // A batch that the client has already is no event.
                    if !bytes.is_empty() {
                        self.alive.reset();
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    return self.alive.poll_tick(cx).map(|_| Some(Ok(Bytes::from_static(b": alive\n\n"))));
                }
            }
        }
        Poll::Ready(None)
    }
}

/// The lines of a batch from `from` on.
#[must_use]
pub fn lines(batch: &Batch, from: u64) -> Bytes {
    let skip = usize::try_from(from.saturating_sub(batch.first_seq)).unwrap_or(usize::MAX);
    let rest = batch.lines.get(skip..).unwrap_or_default();
    // The fields around a line take up to 150 bytes; what has to be escaped lets the buffer grow.
    let size = rest.iter().map(|line| line.bytes.len() + 150).sum();
    let mut out = BytesMut::with_capacity(size);
    for (seq, line) in (from.max(batch.first_seq)..).zip(rest) {
        out.extend_from_slice(b"id: ");
        escape::number(&mut out, seq);
        out.extend_from_slice(b"\nevent: ");
        out.extend_from_slice(line.kind.name().as_bytes());
        out.extend_from_slice(b"\ndata: ");
        escape::log_line(&mut out, seq, line);
        out.extend_from_slice(b"\n\n");
    }
    out.freeze()
}

fn gap_event(gap: Gap) -> Bytes {
    let text = event_text("gap", &json!(gap));
    // A client that resumes right here has seen the gap and need not hear of it again.
    match gap.next_seq.checked_sub(1) {
        Some(last) => [format!("id: {last}\n").as_bytes(), &text].concat().into(),
        None => text,
    }
}

fn event_text(name: &str, data: &serde_json::Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sequence_number_resumes() {
        let mut headers = HeaderMap::new();
        assert_eq!(resume_point(&headers, None), Ok(None));
        assert_eq!(resume_point(&headers, Some("after_seq=7")), Ok(Some(7)));
        headers.insert("last-event-id", "9".parse().unwrap());
        assert_eq!(resume_point(&headers, Some("after_seq=7")), Ok(Some(9)));
        for garbage in
            ["x", "-1", "+1", "1.5", " 1", "18446744073709551615", "184467440737095516160", "\u{e9}"]
        {
            headers.insert("last-event-id", http::HeaderValue::from_bytes(garbage.as_bytes()).unwrap());
            let error = resume_point(&headers, None).unwrap_err();
            assert!(error.contains("Last-Event-ID"), "{error}");
        }
        headers.clear();
        for garbage in ["after_seq=x", "after_seq", "from=3", "after_seq=1&x=2"] {
            assert!(resume_point(&headers, Some(garbage)).is_err(), "{garbage}");
        }
    }
}
