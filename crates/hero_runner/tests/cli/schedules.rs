use serde_json::{Value, json};

use crate::fake::{Answer, Fake};
use crate::samples::schedule;

fn call(status: Option<u16>, error: Option<&str>) -> Value {
    json!({
        "at": 1000, "status": status, "duration_ms": 12, "body_head": "done\nat\u{1b}[1m noon", "error": error, "manual": true,
    })
}

fn answer(ask: &crate::fake::Ask) -> Answer {
    let id = ask.params["id"].as_str();
    match ask.name.as_str() {
        "schedule_list" => {
            let service = ask.params["service"].as_str();
            assert!(service.is_none() || service == Some("hello") || service == Some("none"));
            let history = match ask.params["history"].as_u64() {
                Some(50) => json!({ "hello/tick": [call(Some(200), None), call(None, Some("refused"))] }),
                _ => json!({}),
            };
            Answer::Result(
                json!({ "schedules": [schedule(json!({ "last_run": call(Some(200), None) }))], "history": history }),
            )
        }
        "schedule_pause" => Answer::Result(schedule(json!({ "paused": true }))),
        "schedule_resume" => Answer::Result(schedule(json!({ "next_at": 1 }))),
        "schedule_run_now" if id == Some("hello/bad") => Answer::Result(call(Some(500), None)),
        "schedule_run_now" if id == Some("hello/lost") => Answer::Result(call(None, Some("refused"))),
        "schedule_run_now" => Answer::Result(call(Some(200), None)),
        other => panic!("{other}"),
    }
}

#[test]
fn schedules_are_listed_paused_and_resumed() {
    let fake = Fake::new(|ask| answer(&ask));
    let seen = fake.run(&["schedules"]);
    assert!(seen.out.starts_with("ID          WHEN        STATE   LAST"), "{}", seen.out);
    assert!(seen.out.contains("\nhello/tick  every 60 s  active  200 12.0 ms, "), "{}", seen.out);
    assert_eq!(fake.run(&["schedule", "list", "hello", "-o", "json"]).json()[0]["runs"], 41);
    assert_eq!(fake.run(&["schedules", "pause", "hello/tick"]).out, "hello/tick paused\n");
    assert_eq!(fake.run(&["schedules", "resume", "hello/tick"]).out, "hello/tick active, next call now\n");
    assert_eq!(fake.run(&["schedules", "pause", "hello/tick", "-o", "json"]).json()["paused"], true);
}

#[test]
fn a_call_now_is_shown_and_its_failure_is_one() {
    let fake = Fake::new(|ask| answer(&ask));
    let seen = fake.run(&["schedules", "run", "hello/tick"]);
    let expected = "hello/tick 200 12.0 ms\ndone\nat\u{fffd}[1m noon\n";
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), expected));
    let seen = fake.run(&["schedules", "run", "hello/bad"]);
    assert_eq!((seen.code, seen.out.lines().next()), (Some(1), Some("hello/bad 500 12.0 ms")));
    let seen = fake.run(&["schedules", "run", "hello/lost"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(1), ""));
    assert!(seen.err.contains("hello/lost: no answer 12.0 ms: refused\n  hint: "), "{}", seen.err);
    let seen = fake.run(&["schedules", "run", "hello/bad", "-o", "json"]);
    assert_eq!((seen.code, &seen.json()["status"]), (Some(1), &json!(500)));
}

#[test]
fn the_history_shows_the_last_calls() {
    let fake = Fake::new(|ask| answer(&ask));
    let seen = fake.run(&["schedules", "history", "hello/tick"]);
    let expected = "\
AT                        RESULT             WHY      ANSWER
1970-01-01T00:00:01.000Z  200 12.0 ms        by hand  done
1970-01-01T00:00:01.000Z  no answer 12.0 ms  by hand  refused
";
    assert_eq!(seen.out, expected);
    assert_eq!(fake.run(&["schedules", "history", "hello/tick", "-o", "json"]).json()[1]["error"], "refused");
    let seen = fake.run(&["schedules", "history", "none/x"]);
    assert!(seen.code == Some(1) && seen.err.contains("no schedule has the id none/x"), "{seen:?}");
}
