use serde_json::{Value, json};

use crate::stand_in::Pages;

#[tokio::test]
async fn every_reply_tells_the_browser_what_not_to_do() {
    let pages = Pages::showing(json!([]), json!([]), json!([]));
    let panel =
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    for path in ["/panel", "/panel?hold", "/panel/-/style.css"] {
        assert_eq!(pages.get(path, "").await.header("content-security-policy"), Some(panel), "{path}");
    }
    for path in ["/", "/sessions", "/panel", "/health", "/no/such/page", "/openrpc.json", "/metrics"] {
        let seen = pages.get(path, "").await;
        let csp = seen.header("content-security-policy").unwrap();
        assert!(csp.starts_with("default-src 'none'; ") && !csp.contains("unsafe"), "{path}: {csp}");
        assert!(csp.contains("frame-ancestors 'none'; base-uri 'none'"), "{path}: {csp}");
        assert_eq!(seen.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(seen.header("referrer-policy"), Some("same-origin"), "{path}");
        assert_eq!(seen.header("cross-origin-opener-policy"), Some("same-origin"), "{path}");
        assert_eq!(seen.header("cross-origin-resource-policy"), Some("same-origin"), "{path}");
    }
}

#[tokio::test]
async fn nothing_on_the_panel_needs_what_its_policy_forbids() {
    let seen = Pages::showing(json!([]), json!([]), json!([])).get("/panel", "").await;
    for text in ["style=", "<script", "<style", "<img", " on", "http-equiv=\"content-security"] {
        let tags: String = seen.body.split('<').skip(1).filter_map(|tag| tag.split('>').next()).collect();
        assert!(!tags.contains(text), "{text}");
    }
}

#[tokio::test]
async fn the_style_sheet_of_the_panel_is_sent_once() {
    let pages = Pages::without_server();
    let seen = pages.get("/panel/-/style.css", "").await;
    assert_eq!((seen.status, seen.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert!(seen.body.contains("prefers-color-scheme: dark"));
    let tag = seen.header("etag").unwrap().to_owned();
    let again = pages.get("/panel/-/style.css", &format!("if-none-match: {tag}\r\n")).await;
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag.as_str())));
    assert_eq!(pages.get("/panel/-/style.css", "if-none-match: \"old\"\r\n").await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_a_page_that_says_so() {
    let pages = Pages::without_server();
    for path in ["/x", "/-/x", "/panel/-/x", "/panel/-/schedules", "/%3Cscript%3E"] {
        let seen = pages.get(path, "").await;
        assert_eq!(seen.status, 404, "{path}");
        let link = if path.starts_with("/panel") { "<a href=\"/\">" } else { "<a href=\"/sessions\">" };
        assert!(seen.body.contains("No such page") && seen.body.contains(link), "{}", seen.body);
    }
}

#[tokio::test]
async fn the_program_says_what_it_is() {
    let pages = Pages::without_server();
    let health: Value = serde_json::from_str(&pages.get("/health", "").await.body).unwrap();
    assert_eq!(health, json!({ "status": "ok", "service": "hero_runner_ui", "version": api::VERSION }));
    let seen = pages.get("/.well-known/heroservice.json", "").await;
    let told: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!((&told["name"], &told["socket"]), (&json!("hero_runner_ui"), &json!("ui")));
    // What the client reads of any program of the family.
    assert_eq!(client::Client::new(pages.socket()).health().await.unwrap().service, "hero_runner_ui");
}
