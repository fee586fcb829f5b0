use api::ErrorCode;
use serde_json::json;

use crate::stand_in::{Pages, now_ms, schedule, service};

#[tokio::test]
async fn the_panel_tells_where_everything_stands() {
    let now = now_ms();
    let services = json!([
        service(json!({
            "description": "Says hello.", "memory_limit_mb": 64, "requests": 12, "ready_since": now - 7_300_000,
            "last_probe": { "at": now - 3_400, "ok": true, "status": 200, "latency_us": 1234, "error": null },
            "instances": [{
                "session_id": "ses-1", "state": "running", "pid": 4242, "ready": true, "requests": 2,
            }],
        })),
        service(json!({
            "name": "broken", "prefix": "b/r", "kind": "handler", "state": "backoff", "reason": "it exited with code 3",
            "next_try_at": now + 29_500, "restarts": 7,
            "last_probe": { "at": now - 61_000, "ok": false, "status": null, "latency_us": 2_000_000, "error": "timed out" },
        })),
    ]);
    let problems = json!([
        { "name": "odd", "file": "/s/odd/config/service.json", "key": "schedules[0].cron", "reason": "it has four fields" },
    ]);
    let schedules = json!([
        schedule(json!({
            "next_at": now + 12_000, "runs": 41, "skipped": 3,
            "last_run": { "at": now - 48_000, "status": 200, "duration_ms": 12, "body_head": "", "error": null, "manual": true },
        })),
        schedule(json!({
            "id": "hello/night", "when": "0 3 * * * (Europe/Brussels)", "paused": true, "running": true,
            "last_run": { "at": now - 48_000, "status": null, "duration_ms": 30_000, "body_head": "", "error": "refused" },
        })),
    ]);
    let seen = Pages::showing(services, problems, schedules).get("/panel", "").await;
    assert_eq!(seen.status, 200);
    assert_eq!(seen.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(seen.header("cache-control"), Some("no-store"));
    for text in [
        "<meta http-equiv=\"refresh\" content=\"5\">",
        "2 services: 1 ready, 1 in trouble, behind <code>http://127.0.0.1:14000</code>.",
        "<a href=\"/hello/\">hello</a>",
        "<code>/hello/</code> listener",
        "Says hello.",
        "<span class=\"mark good\">ready</span>",
        ">for 2 h</time>",
        "HTTP 200, 1.2 ms, <time",
        ">3 s ago</time>",
        "pid 4242, takes requests, 2 requests under way",
        "<code>ses-1</code>",
        "64 MiB",
        "<a href=\"/b/r/\">broken</a>",
        "<code>/b/r/</code> handler",
        "<span class=\"mark bad\">ended, will be started again</span>",
        "it exited with code 3",
        "next try <time",
        ">in 30 s</time>",
        "timed out",
        "<td role=\"cell\" data-label=\"Restarts\" class=\"number\">7</td>",
        "<code>/s/odd/config/service.json</code>",
        "<code>schedules[0].cron</code>",
        "it has four fields",
        "every 60 s",
        "<code>GET /tick</code>",
        "<span class=\"mark good\">HTTP 200</span>",
        "12.0 ms, <time",
        ", by hand",
        ">in 12 s</time>",
        "<td role=\"cell\" data-label=\"Calls\" class=\"number\">41</td>",
        "<td role=\"cell\" data-label=\"Skipped\" class=\"number\">3</td>",
        "<span class=\"mark bad\">no answer</span>",
        "refused",
        "<span class=\"mark quiet\">paused</span>",
        "<span class=\"mark busy\">running</span>",
    ] {
        assert!(seen.body.contains(text), "{text}\n{}", seen.body);
    }
    // One is paused and one is not.
    assert_eq!(seen.body.matches("action=\"/-/schedules/pause\"").count(), 1);
    assert_eq!(seen.body.matches("action=\"/-/schedules/resume\"").count(), 1);
    assert_eq!(seen.body.matches("action=\"/-/schedules/run\"").count(), 2);
    let time = "<time datetime=\"20";
    assert_eq!(seen.body.matches(time).count(), seen.body.matches(" UTC\">").count());
}

#[tokio::test]
async fn what_comes_from_guests_is_text_and_never_markup() {
    let evil = "<script>alert(1)</script>\"'&";
    let services = json!([service(json!({
        "name": evil, "prefix": evil, "description": evil, "state": "failed", "reason": evil,
        "last_probe": { "at": 1, "ok": false, "status": 500, "latency_us": 1, "error": evil },
        "instances": [{ "session_id": evil, "state": "running", "pid": null, "ready": false, "requests": 0 }],
    }))]);
    let problems = json!([{ "name": evil, "file": evil, "key": evil, "reason": evil }]);
    let schedules = json!([schedule(json!({
        "id": evil, "endpoint": evil, "method": evil, "when": evil,
        "last_run": { "at": 1, "status": null, "duration_ms": 1, "body_head": evil, "error": evil },
    }))]);
    let seen = Pages::showing(services, problems, schedules).get("/panel", "").await;
    assert_eq!(seen.status, 200);
    assert!(!seen.body.contains("<script"), "{}", seen.body);
    // Escaped once: neither not at all, nor twice.
    assert!(seen.body.contains("&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;"), "{}", seen.body);
    assert!(!seen.body.contains("&#38;#"), "{}", seen.body);
    assert!(seen.body.contains("value=\"&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;\""));
    assert_eq!(seen.body.matches("<a href=").count(), 2, "such a prefix is no link: {}", seen.body);
}

#[tokio::test]
async fn an_empty_panel_says_what_to_do_next() {
    let seen = Pages::showing(json!([]), json!([]), json!([])).get("/panel", "").await;
    assert_eq!(seen.status, 200);
    for text in ["services deploy NAME", "NAME/config/service.json", "docs/services.md", "interval_secs"] {
        assert!(seen.body.contains(text), "{text}\n{}", seen.body);
    }
    assert!(!seen.body.contains("<table") && !seen.body.contains("Refused"), "{}", seen.body);
}

#[tokio::test]
async fn a_panel_that_is_held_does_not_refresh() {
    let pages = Pages::showing(json!([]), json!([]), json!([]));
    let seen = pages.get("/panel?hold", "").await;
    assert!(seen.status == 200 && !seen.body.contains("http-equiv=\"refresh\""), "{}", seen.body);
    assert!(seen.body.contains("Let it go on"), "{}", seen.body);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_what_to_do() {
    let seen = Pages::without_server().get("/panel", "").await;
    assert_eq!(seen.status, 503);
    for text in ["The server does not run", "no server listens on", "<pre><code>hero_runner --start"] {
        assert!(seen.body.contains(text), "{text}\n{}", seen.body);
    }
    assert!(!seen.body.contains("http-equiv=\"refresh\""), "{}", seen.body);
}

#[tokio::test]
async fn a_server_that_refuses_is_quoted() {
    let seen = Pages::new(|_, _| Err(ErrorCode::Internal)).get("/panel", "").await;
    assert_eq!(seen.status, 502);
    assert!(seen.body.contains("&#60;b&#62;internal"), "{}", seen.body);
    let seen = Pages::new(|_, _| Ok(json!("nonsense"))).get("/panel", "").await;
    assert_eq!(seen.status, 502);
    assert!(seen.body.contains("does not answer") && seen.body.contains("same version"), "{}", seen.body);
    assert!(!seen.body.contains("--start"), "it runs: {}", seen.body);
}
