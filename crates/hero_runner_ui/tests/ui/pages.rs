//! The pages: what they tell, and what all of them have in common.

use api::ErrorCode;
use serde_json::{Value, json};

use crate::samples::{PAGES, everything, session};
use crate::stand_in::{Pages, Said, now_ms};

fn thing() -> Pages {
    Pages::new(|method, _| everything("thing", method))
}

/// A server with these sessions, and nothing else.
fn with_sessions(sessions: Value) -> Pages {
    Pages::new(move |method, _| match method {
        "session_list" => Ok(json!({ "sessions": sessions, "next": null })),
        "session_get" => Ok(sessions[0].clone()),
        other => everything("thing", other),
    })
}

#[tokio::test]
async fn every_page_is_whole_and_can_be_found_one_s_way_in() {
    let pages = thing();
    for path in PAGES {
        let seen = pages.get(path, "").await;
        assert_eq!(
            (seen.status, seen.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        assert_eq!(seen.header("cache-control"), Some("no-store"), "{path}");
        let body = &seen.body;
        for (text, times) in [
            ("<h1", 1),
            ("<main id=\"page\"", 1),
            ("<aside id=\"sidebar\"", 1),
            ("aria-current=\"page\"", 1),
            ("</html>", 1),
        ] {
            let found = body.matches(text).count();
            // The tabs of a page, and the method in the list of all, are places, too.
            assert!(
                found == times || (text.starts_with("aria-current") && found == 2),
                "{path}: {found} × {text}"
            );
        }
        assert_eq!(body.matches("<table").count(), body.matches("<caption").count(), "{path}");
        let ids: Vec<&str> = body.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut once = ids.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(ids.len(), once.len(), "{path}: an id is there twice: {ids:?}");
        let tags: Vec<&str> = body.split('<').skip(1).filter_map(|tag| tag.split('>').next()).collect();
        for tag in tags {
            assert!(
                !tag.contains(" style=") && !tag.contains(" onclick=") && !tag.starts_with("style"),
                "{path}: {tag}"
            );
        }
    }
}

#[tokio::test]
async fn what_changes_can_be_had_alone() {
    let pages = thing();
    for path in PAGES {
        let seen = pages.get(path, "x-fragment: 1\r\n").await;
        assert_eq!(seen.status, 200, "{path}");
        let body = seen.body.trim();
        assert!(body.starts_with("<aside id=\"sidebar\"") && body.ends_with("</main>"), "{path}: {body}");
        assert!(!body.contains("<html") && !body.contains("<nav id=\"nav\""), "{path}");
    }
}

#[tokio::test]
async fn the_sidebar_tells_how_much_is_done_with_what() {
    let body = thing().get("/docs", "").await.body;
    for text in [
        "<strong>4</strong> parked, <strong>1</strong> busy",
        "<strong>1</strong> running <span class=\"detail\">of 12\u{202f}345 since the start</span>",
        "<strong>8.0 MiB</strong>",
        "<strong>25 %</strong>",
    ] {
        assert!(body.contains(text), "{text}\n{body}");
    }
}

#[tokio::test]
async fn ends_are_told_in_words() {
    let limits = json!({ "timeout_ms": 30_000, "memory_limit_mb": 64 });
    let ended = |id: &str, outcome: Value| {
        session(json!({ "session_id": id, "outcome": outcome, "limits": limits, "state": "failed" }))
    };
    let pages = with_sessions(json!([
        ended("ses-1", json!({ "kind": "exited", "code": 0 })),
        ended("ses-2", json!({ "kind": "exited", "code": 7 })),
        ended("ses-3", json!({ "kind": "trapped", "trap": "unreachable", "message": "unreachable" })),
        ended("ses-4", json!({ "kind": "timed_out" })),
        ended("ses-5", json!({ "kind": "memory_limit" })),
        ended("ses-6", json!({ "kind": "killed", "signal": 9 })),
        ended("ses-7", json!({ "kind": "cancelled" })),
        session(
            json!({ "session_id": "ses-8", "state": "pending", "outcome": null, "started_at": null, "ended_at": null })
        ),
    ]));
    let body = pages.get("/sessions", "").await.body;
    for words in [
        ">exited 0<",
        ">exited 7<",
        ">trapped: unreachable<",
        ">timed out after 30 s<",
        ">out of memory (64 MiB)<",
        ">killed from outside<",
        ">stopped<",
        ">waits for a worker<",
    ] {
        assert!(body.contains(words), "{words}\n{body}");
    }
    // Only what still lives can be stopped, and chosen for it; the others can be run again.
    assert_eq!(body.matches("name=\"select\"").count(), 1);
    assert_eq!(body.matches("data-call=\"session_stop\"").count(), 1);
    assert_eq!(body.matches("href=\"/run?again=").count(), 7);
}

#[tokio::test]
async fn filter_search_and_place_are_in_the_address() {
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
    let seen = asked.clone();
    let pages = Pages::new(move |method, params| -> Said {
        if method == "session_list" {
            *seen.lock().unwrap() = params.clone();
        }
        everything("next one", method)
    });
    let body = pages.get("/sessions?q=a+b&state=failed&module=m&label=team%3Dblue&cursor=c", "").await.body;
    let expected = json!({
        "search": "a b", "state": "failed", "module": "m", "label": "team=blue", "cursor": "c", "limit": 50, "usage": true,
    });
    assert_eq!(*asked.lock().unwrap(), expected);
    for text in [
        "value=\"a b\"",
        "<option value=\"failed\" selected>",
        "value=\"team=blue\"",
        "href=\"/sessions?q=a%20b&#38;state=failed&#38;module=m&#38;label=team%3Dblue&#38;cursor=next%20one\"",
        "<a href=\"/sessions?q=a%20b&#38;state=failed&#38;module=m&#38;label=team%3Dblue\">Newest</a>",
    ] {
        assert!(body.contains(text), "{text}\n{body}");
    }
    pages.get("/sessions?state=nonsense", "").await;
    assert_eq!(*asked.lock().unwrap(), json!({ "limit": 50, "usage": true }));
}

#[tokio::test]
async fn one_session_tells_its_life() {
    let now = now_ms();
    let pages = with_sessions(json!([session(json!({
        "created_at": now - 5000, "started_at": now - 4800, "ended_at": now - 2000, "value": { "sum": 3 },
        "labels": { "service": "hello" },
        "attempts": [{ "module": "first", "started_at": now - 9000, "ended_at": now - 8000, "outcome": { "kind": "timed_out" } }],
    }))]));
    let body = pages.get("/sessions/ses-0123456789ab", "").await.body;
    for text in [
        "<span class=\"what\">queued</span>",
        "after 200.0 ms",
        "after 1.2 ms",
        "ran 2.0 s",
        "two words",
        "30 s",
        "64 MiB",
        "WasmEdge",
        "compiled",
        "forked from a template of its module",
        "<a href=\"/services/hello\">hello</a>",
        "&#34;sum&#34;: 3",
        "timed out after 30 s",
        "1.0 s",
        "7 lines",
        "3 dropped by the output limit",
        "href=\"/run?again=ses-0123456789ab\"",
        "data-log data-keep data-session=\"ses-0123456789ab\" data-next-seq=\"7\" data-ended",
        "hero_runner run hello --name &#39;two words&#39;",
        "href=\"/sessions/ses-0123456789ab/log.txt\"",
    ] {
        assert!(body.contains(text), "{text}\n{body}");
    }
    assert!(!body.contains("data-call=\"session_stop\""), "it has ended: {body}");
}

#[tokio::test]
async fn an_empty_server_says_what_to_do_next() {
    let pages = Pages::new(|method, _| match method {
        "session_list" => Ok(json!({ "sessions": [], "next": null })),
        "module_list" => Ok(json!({ "modules": [] })),
        "template_list" => Ok(json!({ "templates": [] })),
        "service_list" => Ok(json!({ "services": [], "problems": [], "gateway": null })),
        "schedule_list" => Ok(json!({ "schedules": [] })),
        other => everything("thing", other),
    });
    for (path, command) in [
        ("/sessions", "hero_runner run hello"),
        ("/services", "hero_runner services deploy NAME"),
        ("/schedules", "interval_secs"),
        ("/modules", "hero_runner modules put NAME FILE.wasm"),
        ("/modules?tab=templates", "hero_runner templates create NAME --module MODULE"),
        ("/logs", "hero_runner run ticker"),
        ("/run", "hero_runner runtime list"),
    ] {
        let seen = pages.get(path, "").await;
        assert!(seen.status == 200 && seen.body.contains(command), "{path}: {}", seen.body);
        assert!(!seen.body.contains("<tbody>"), "{path}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_on_every_page_and_looked_for_again() {
    let pages = Pages::without_server();
    for path in PAGES {
        let seen = pages.get(path, "").await;
        assert_eq!(seen.status, 503, "{path}");
        for text in [
            "The server does not run",
            "no server listens on",
            "<code>hero_runner --start</code>",
            "data-live=",
            "data-down",
        ] {
            assert!(seen.body.contains(text), "{path}: {text}\n{}", seen.body);
        }
    }
}

#[tokio::test]
async fn what_is_not_known_is_not_found_and_says_where_to_look() {
    let pages = Pages::new(|method, _| match method {
        "session_get" => Err(ErrorCode::SessionNotFound),
        "service_get" => Err(ErrorCode::ServiceNotFound),
        "module_get" => Err(ErrorCode::ModuleNotFound),
        "template_get" => Err(ErrorCode::TemplateNotFound),
        other => everything("thing", other),
    });
    for (path, back) in [
        ("/sessions/ses-x", "/sessions"),
        ("/services/x", "/services"),
        ("/modules/x", "/modules"),
        ("/templates/x", "/modules?tab=templates"),
        ("/run?again=x", "/run"),
        ("/docs/x", "/sessions"),
    ] {
        let seen = pages.get(path, "").await;
        assert_eq!(seen.status, 404, "{path}");
        assert!(seen.body.contains(&format!("<a href=\"{back}\">")), "{path}: {}", seen.body);
        assert!(!seen.body.contains("_list shows"), "{path}: {}", seen.body);
        // Where the server was asked, the link is what to do.
        assert_eq!(seen.body.contains("What to do: "), path == "/docs/x", "{path}: {}", seen.body);
    }
}

#[tokio::test]
async fn an_older_server_lacks_only_what_it_lacks() {
    let pages = Pages::new(|method, _| match method {
        "stats_history" | "server_settings" | "log_level" | "module_inspect" => Err(ErrorCode::Internal),
        other => everything("thing", other),
    });
    for (path, text) in [
        ("/stats", "There is no history"),
        ("/admin", "--print-config"),
        ("/modules/thing", "There is no report on the file"),
    ] {
        let seen = pages.get(path, "").await;
        assert!(seen.status == 200 && seen.body.contains(text), "{path}: {}", seen.body);
        assert!(seen.body.contains("&#60;b&#62;internal"), "its own words: {}", seen.body);
    }
}

#[tokio::test]
async fn a_method_is_told_with_parameters_to_try_it_with() {
    let body = thing().get("/docs/session_stop", "").await.body;
    for text in [
        "data-try=\"session_stop\"",
        "&#34;session_id&#34;: &#34;ses-running00000&#34;",
        "session_not_found",
        "<code>grace_ms</code>",
        "<a href=\"#type-Done\">Done</a>",
        "id=\"type-Done\"",
    ] {
        assert!(body.contains(text), "{text}\n{body}");
    }
}
