//! `GET /sse/session/{id}`, and the SDK that follows it.

use e2e::{Event, Server, Setup, eventually, json};
use futures_util::StreamExt;

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().filter(|event| event.is_line()).filter_map(|event| event.data["seq"].as_u64()).collect()
}

#[test]
fn a_session_that_ended_is_shown_from_its_beginning_to_its_end() {
    let server = Server::start();
    let id = server.session(json!({ "module": "faulty_exit7" }));
    let _ = server.wait(&id);
    let events: Vec<Event> = server.follow(&id, None).collect();
    assert_eq!(names(&events), ["stderr", "state", "end"]);
    assert_eq!((events[0].id.as_deref(), events[0].text()), (Some("0"), "exiting with 7"));
    assert_eq!(events[1].data, json!({ "state": "failed" }));
    assert_eq!(events[2].data, json!({ "outcome": { "kind": "exited", "code": 7 }, "state": "failed" }));
}

#[test]
fn a_running_session_is_shown_live_and_lines_come_as_they_are_printed() {
    let server = Server::start();
    let id = server.session(json!({ "module": "echo", "stdin": "before\n", "stdin_open": true }));
    eventually("the guest echoes", || (!server.lines(&id).is_empty()).then_some(()));
    let mut events = server.follow(&id, None);
    let mut line = || events.by_ref().find(|event| event.is_line()).unwrap();
    assert_eq!(line().text(), "before");
    for number in 1..=5 {
        let text = format!("live {number}");
        let _ = server.call("session_stdin", json!({ "session_id": id, "data": format!("{text}\n") }));
        // It arrives although nothing follows it.
        let event = line();
        assert_eq!((event.text(), event.id.clone()), (text.as_str(), Some(number.to_string())));
    }
    let _ = server.call("session_stdin", json!({ "session_id": id, "close": true }));
    let rest: Vec<Event> = events.collect();
    assert_eq!(names(&rest), ["state", "end"]);
    assert_eq!(rest[1].data["outcome"], json!({ "kind": "exited", "code": 0 }));
}

#[test]
fn a_session_that_waits_tells_its_states() {
    let server = Setup::new().set("max_sessions", 1).start();
    let first = server.session(json!({ "module": "ticker", "args": ["1000", "100"] }));
    let id = server.session(json!({ "module": "hello" }));
    let mut events = server.follow(&id, None);
    assert_eq!(events.next().unwrap().data, json!({ "state": "pending" }));
    let _ = server.call("session_stop", json!({ "session_id": first }));
    let rest: Vec<Event> = events.collect();
    assert_eq!(rest.last().unwrap().name, "end");
    assert_eq!(seqs(&rest), [0]);
    let states: Vec<&str> = rest
        .iter()
        .filter(|event| event.name == "state")
        .filter_map(|event| event.data["state"].as_str())
        .collect();
    assert!(matches!(states[..], ["running", "succeeded"] | ["succeeded"]), "{states:?}");
}

#[test]
fn a_stream_resumes_behind_the_last_event_that_was_seen() {
    let server = Server::start();
    let id = server.session(json!({ "module": "ticker", "args": ["10", "1"] }));
    let _ = server.wait(&id);
    for last in 0..10_u64 {
        let events: Vec<Event> = server.follow(&id, Some(&last.to_string())).collect();
        assert_eq!(seqs(&events), (last + 1..10).collect::<Vec<u64>>());
        assert_eq!(events.last().unwrap().name, "end");
    }
    let by_query: Vec<Event> =
        e2e::Events::new(server.get(&format!("/sse/session/{id}?after_seq=7"))).collect();
    assert_eq!(seqs(&by_query), [8, 9]);
    // Beyond the end there is nothing but the end.
    let events: Vec<Event> = server.follow(&id, Some("4000")).collect();
    assert_eq!(seqs(&events), [0; 0]);
    assert_eq!(events.last().unwrap().name, "end");
}

#[test]
fn places_that_make_no_sense_and_sessions_that_nobody_has_are_refused() {
    let server = Server::start();
    let id = server.session(json!({ "module": "hello" }));
    let _ = server.wait(&id);
    for last in ["x", "-1", "1.5", "99999999999999999999"] {
        let reply = server.http("GET", &format!("/sse/session/{id}"), &[("last-event-id", last)], b"");
        assert_eq!(reply.status, 400, "{last}");
        assert_eq!(reply.json()["data"]["code_name"], "invalid_resume");
    }
    for unknown in ["ses-000000000000", "nothing", "ses-", "%00"] {
        let reply = server.get(&format!("/sse/session/{unknown}"));
        assert_eq!(reply.status, 404, "{unknown}");
        assert_eq!(reply.json()["data"]["code_name"], "session_not_found");
    }
}

#[test]
fn what_a_guest_prints_forges_no_event() {
    let server = Server::start();
    let id = server.session(json!({ "module": "faulty_noisy_bytes" }));
    let _ = server.wait(&id);
    // Every line of the stream was checked while it was read: a forged field would have shown there.
    let events: Vec<Event> = server.follow(&id, None).collect();
    assert_eq!(events.iter().filter(|event| event.name == "end").count(), 1);
    assert_eq!(events.last().unwrap().name, "end");
    assert!(events.iter().any(|event| event.is_line() && event.text() == "event: end"));
    assert!(events.iter().any(|event| event.text() == "\r\revent: end\rdata: forged\r\r"));
    let lines = server.lines(&id);
    let streamed: Vec<_> = events.into_iter().filter(Event::is_line).map(|event| event.data).collect();
    assert_eq!(streamed, lines, "both ways show the same");
}

#[test]
fn a_reader_that_is_slower_than_the_guest_loses_nothing_that_the_history_keeps() {
    let server = Setup::new().set("ring_lines", 16).start();
    let id = server.session(json!({ "module": "faulty_flood", "args": ["200000"] }));
    let events = server.follow(&id, None);
    // The guest is done long before the first event is read, and its lines are in memory no more.
    assert_eq!(server.wait(&id)["success"], true);
    let mut next = 0;
    for event in events.filter(Event::is_line) {
        assert_eq!(event.data["seq"], next);
        next += 1;
    }
    assert_eq!(next, 200_000);
}

#[test]
fn what_the_history_dropped_is_announced_as_a_gap_with_its_number() {
    let server = Setup::new().set("history_session_bytes", 200_000).set("ring_lines", 16).start();
    let id = server.session(json!({ "module": "faulty_flood", "args": ["100000"] }));
    let _ = server.wait(&id);
    let (mut next, mut missed, mut gaps) = (0, 0, Vec::new());
    for event in server.follow(&id, None) {
        match event.name.as_str() {
            "gap" => {
                missed += event.data["missed"].as_u64().unwrap();
                assert_eq!(
                    event.data["next_seq"].as_u64().unwrap(),
                    next + event.data["missed"].as_u64().unwrap()
                );
                next = event.data["next_seq"].as_u64().unwrap();
                gaps.push(event.id.unwrap());
            }
            "stdout" => {
                assert_eq!(event.data["seq"], next);
                next += 1;
            }
            _ => {}
        }
    }
    assert_eq!(next, 100_000, "lines and gaps together are everything");
    assert!(missed > 0);
    // Who resumes behind the gap does not hear of it again.
    let again: Vec<Event> = server.follow(&id, Some(&gaps[0])).collect();
    assert!(!names(&again).contains(&"gap"));
}

#[test]
fn several_readers_see_the_same() {
    let server = Server::start();
    let id = server.session(json!({ "module": "canary", "args": ["50"] }));
    std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| seqs(&server.follow(&id, None).collect::<Vec<_>>()))).collect();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), (0..50).collect::<Vec<u64>>());
        }
    });
}

#[test]
fn a_reader_that_goes_away_disturbs_nobody() {
    let server = Server::start();
    let id = server.session(json!({ "module": "canary", "args": ["60"] }));
    for _ in 0..10 {
        let mut events = server.follow(&id, None);
        let _ = events.next();
    }
    assert_eq!(server.wait(&id)["success"], true);
    assert_eq!(server.lines(&id).len(), 60);
}

#[tokio::test]
async fn the_sdk_follows_across_a_restart_and_misses_no_line() {
    let mut server = Server::start();
    let client = server.client();
    let id = server.session(json!({ "module": "ticker", "args": ["100000", "5"] }));
    let mut stream = client.follow(&id, None);
    let mut next = 0;
    let mut outcome = None;
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            client::LogEvent::Line(line) => {
                assert_eq!(line.seq, next);
                next += 1;
                if next == 20 {
                    server.kill();
                    server.start_again();
                }
            }
            client::LogEvent::Gap(gap) => panic!("{gap:?}"),
            client::LogEvent::State(_) => {}
            client::LogEvent::End(end) => outcome = Some(end.outcome),
        }
    }
    assert_eq!(outcome, Some(api::Outcome::Interrupted));
    // A line is shown before it is on the disk, so that more may have been seen than was kept, but never less.
    assert!(next >= server.info(&id)["log_next_seq"].as_u64().unwrap());
}
