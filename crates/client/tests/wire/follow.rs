use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use api::log::{EndEvent, Gap};
use api::{ErrorCode, LogKind, LogLine, Outcome, SessionState};
use bytes::Bytes;
use client::{Error, LogEvent};
use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use serde_json::json;

use crate::fake::{Reply, Seen, json as reply, serve};

fn line(seq: u64) -> LogLine {
    let kind = if seq % 3 == 2 { LogKind::Stderr } else { LogKind::Stdout };
    LogLine { seq, ts_ms: 1, kind, line: format!("line {seq}\u{e9}"), base64: None, partial: false }
}

fn event(line: &LogLine) -> String {
    format!(
        "id: {}\nevent: {}\ndata: {}\n\n",
        line.seq,
        line.kind.name(),
        serde_json::to_string(line).unwrap()
    )
}

fn end() -> String {
    let end = EndEvent { outcome: Outcome::Exited { code: 7 }, state: SessionState::Failed };
    format!("event: end\ndata: {}\n\n", serde_json::to_string(&end).unwrap())
}

/// The whole stream from after a line, as the server would send it.
fn stream(after: Option<u64>, lines: u64) -> String {
    let mut text = "event: state\ndata: {\"state\":\"running\"}\n\n".to_owned();
    for seq in after.map_or(0, |after| after + 1)..lines {
        let _ = write!(text, ": keep-alive\n{}", event(&line(seq)));
    }
    text + &end()
}

fn last_event_id(request: &Seen) -> Option<u64> {
    request.headers().get("last-event-id").map(|value| value.to_str().unwrap().parse().unwrap())
}

/// A body in pieces; `cut` ends it with a broken connection.
fn sse(text: &[u8], cut: bool) -> Reply {
    let mut pieces: Vec<io::Result<Frame<Bytes>>> =
        text.chunks(37).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    if cut {
        pieces.push(Err(io::ErrorKind::ConnectionReset.into()));
    }
    // A moment before the break, so that what came before it is really sent.
    let pieces = futures_util::stream::iter(pieces).then(|piece| async {
        if piece.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        piece
    });
    let body = StreamBody::new(pieces).boxed_unsync();
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

async fn lines_of(client: &client::Client) -> Vec<u64> {
    let events: Vec<LogEvent> = client.follow("ses-1", None).map(|event| event.unwrap()).collect().await;
    assert!(matches!(events.last(), Some(LogEvent::End(end)) if end.outcome == Outcome::Exited { code: 7 }));
    events
        .iter()
        .filter_map(|event| if let LogEvent::Line(line) = event { Some(line.seq) } else { None })
        .collect()
}

#[tokio::test]
async fn a_whole_stream_ends_after_its_end() {
    let fake = serve(false, |request, _| {
        assert_eq!(request.uri(), "/sse/session/ses-1");
        assert_eq!(last_event_id(&request), None);
        sse(stream(None, 5).as_bytes(), false)
    });
    assert_eq!(lines_of(&fake.client()).await, [0, 1, 2, 3, 4]);
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn a_cut_anywhere_loses_no_line_and_doubles_none() {
    let whole = stream(None, 4);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let cut = Arc::new(Mutex::new(0));
    let (seen, at) = (asked.clone(), cut.clone());
    let fake = serve(false, move |request, _| {
        let after = last_event_id(&request);
        let mut asked = seen.lock().unwrap();
        asked.push(after);
        let at = *at.lock().unwrap();
        if asked.len() == 1 {
            let whole = stream(None, 4);
            // Every second cut is a clean end of the body without an `end` event.
            sse(&whole.as_bytes()[..at], at % 2 == 0)
        } else {
            sse(stream(after, 4).as_bytes(), false)
        }
    });
    // Every cut from the middle of the first line on, in steps that hit all parts of an event.
    for at in (1..whole.len() - end().len()).step_by(29) {
        *cut.lock().unwrap() = at;
        asked.lock().unwrap().clear();
        assert_eq!(lines_of(&fake.client()).await, [0, 1, 2, 3], "cut at {at}");
        assert_eq!(asked.lock().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn lines_that_the_server_repeats_are_dropped() {
    let fake = serve(false, |_, number| {
        // Ignores Last-Event-ID altogether.
        if number == 0 {
            sse(event(&line(0)).as_bytes(), true)
        } else {
            sse(stream(None, 3).as_bytes(), false)
        }
    });
    assert_eq!(lines_of(&fake.client()).await, [0, 1, 2]);
}

#[tokio::test]
async fn it_starts_after_the_line_that_it_is_told() {
    let fake = serve(false, |request, _| {
        assert_eq!(last_event_id(&request), Some(2));
        sse(stream(Some(2), 5).as_bytes(), false)
    });
    let events: Vec<_> = fake.client().follow("ses-1", Some(2)).collect().await;
    assert_eq!(events.len(), 4);
}

#[tokio::test]
async fn a_gap_is_told_once_and_resumed_behind() {
    let fake = serve(false, |request, number| {
        let gap = "event: gap\ndata: {\"missed\":8,\"next_seq\":8}\n\n";
        if number == 0 {
            return sse(gap.as_bytes(), true);
        }
        assert_eq!(last_event_id(&request), Some(7));
        sse(format!("{gap}{}", stream(Some(7), 9)).as_bytes(), false)
    });
    let events: Vec<_> = fake.client().follow("ses-1", None).map(|event| event.unwrap()).collect().await;
    let gaps = events.iter().filter(|event| matches!(event, LogEvent::Gap(_))).count();
    assert_eq!(gaps, 1);
    assert_eq!(events[0], LogEvent::Gap(Gap { missed: 8, next_seq: 8 }));
    assert!(events.contains(&LogEvent::Line(line(8))));
}

#[tokio::test]
async fn a_session_that_is_not_there_ends_the_stream_with_its_error() {
    let fake = serve(false, |_, _| {
        let code = ErrorCode::SessionNotFound;
        reply(
            404,
            &json!({ "code": code.code(), "message": "no session", "data": api::ErrorData::from(code) }),
        )
    });
    let events: Vec<_> = fake.client().follow("ses-1", None).collect().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].as_ref().unwrap_err().code(), Some(ErrorCode::SessionNotFound));
}

#[tokio::test]
async fn nonsense_and_a_server_that_is_not_there_are_final() {
    let fake = serve(false, |_, _| sse(b"event: stdout\ndata: {}\n\n", false));
    let events: Vec<_> = fake.client().follow("ses-1", None).collect().await;
    assert!(matches!(events.as_slice(), [Err(Error::Protocol(_))]), "{events:?}");
    let missing = client::Client::new("/missing/rpc.sock");
    let events: Vec<_> = missing.follow("ses-1", None).collect().await;
    assert!(matches!(events.as_slice(), [Err(Error::NotRunning { .. })]), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_hangs_up_is_given_up() {
    let fake = serve(false, |_, _| sse(b": hello\n\n", true));
    let events: Vec<_> = fake.client().follow("ses-1", None).collect().await;
    assert!(matches!(events.as_slice(), [Err(Error::Io { .. })]), "{events:?}");
    assert_eq!(fake.connections(), 11);
}
