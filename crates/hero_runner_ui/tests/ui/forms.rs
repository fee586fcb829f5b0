use std::time::Duration;

use api::ErrorCode;
use serde_json::{Value, json};

use crate::stand_in::{Pages, Said, schedule};

fn answering(method: &str, params: &Value) -> Said {
    match (method, params["id"].as_str()) {
        ("service_list", _) => Ok(json!({ "services": [], "problems": [], "gateway": null })),
        ("schedule_list", _) => Ok(json!({ "schedules": [schedule(json!({}))] })),
        (_, Some("gone/x")) => Err(ErrorCode::ScheduleNotFound),
        ("schedule_pause" | "schedule_resume", _) => Ok(schedule(json!({}))),
        ("schedule_run_now", Some("slow/x")) => {
            std::thread::sleep(Duration::from_millis(100));
            Err(ErrorCode::InvalidState)
        }
        ("schedule_run_now", _) => Ok(
            json!({ "at": 1, "status": 500, "duration_ms": 1, "body_head": "", "error": null, "manual": true }),
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_button_makes_its_call_and_leads_back() {
    let pages = Pages::new(answering);
    for (verb, method) in
        [("pause", "schedule_pause"), ("resume", "schedule_resume"), ("run", "schedule_run_now")]
    {
        let seen = pages.post(&format!("/panel/-/schedules/{verb}"), "id=hello%2Ftick+tock&more=1").await;
        assert_eq!((seen.status, seen.header("location")), (303, Some("/")), "{verb}");
        let expected = (method.to_owned(), json!({ "id": "hello/tick tock" }));
        assert_eq!(pages.calls().last(), Some(&expected));
    }
    assert_eq!(pages.calls().len(), 3);
}

#[tokio::test]
async fn a_refusal_is_shown_above_the_panel() {
    let pages = Pages::new(answering);
    let seen = pages.post("/panel/-/schedules/pause", "id=gone/x").await;
    assert_eq!(seen.status, 404);
    for text in [
        "<h2>Cannot pause gone/x</h2>",
        "&#60;b&#62;schedule_not_found&#60;/b&#62;",
        "What to do: schedule_list shows the schedules",
        "hello/tick",
        "Back to the panel",
    ] {
        assert!(seen.body.contains(text), "{text}\n{}", seen.body);
    }
    assert!(!seen.body.contains("http-equiv=\"refresh\""), "it would send the form again");
    let seen = pages.post("/panel/-/schedules/run", "id=slow/x").await;
    assert_eq!(seen.status, 409);
    assert!(seen.body.contains("<h2>Cannot run slow/x</h2>"), "{}", seen.body);
}

#[tokio::test]
async fn a_form_without_a_server_says_so() {
    for verb in ["pause", "resume", "run"] {
        let seen = Pages::without_server().post(&format!("/panel/-/schedules/{verb}"), "id=a/b").await;
        assert_eq!(seen.status, 503, "{verb}");
        assert!(seen.body.contains("hero_runner --start"), "{}", seen.body);
    }
}

#[tokio::test]
async fn a_form_that_makes_no_sense_reaches_nobody() {
    let pages = Pages::new(answering);
    let path = "/panel/-/schedules/pause";
    assert_eq!(pages.post(path, "name=x").await.status, 422);
    assert_eq!(pages.send(path, "application/json", r#"{"id":"a/b"}"#).await.status, 415);
    let large = format!("id={}", "x".repeat(64 << 10));
    assert_eq!(pages.post(path, &large).await.status, 413);
    let seen = pages.get(path, "").await;
    assert_eq!((seen.status, seen.header("allow")), (405, Some("POST")));
    assert!(pages.calls().is_empty());
    assert_eq!(pages.post("/panel", "").await.status, 405);
}
