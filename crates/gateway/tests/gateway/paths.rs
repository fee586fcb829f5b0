//! Paths that are refused, and what the gateway says when there is nothing.

use crate::setup::{Bed, ok};

#[tokio::test]
async fn paths_that_would_be_other_paths_are_refused() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    for path in [
        "/api/../x",
        "/api/..",
        "/api/.",
        "/api/./x",
        "/x/../api",
        "/api/%2e%2e/x",
        "/api/%2E%2e",
        "/api/.%2e/x",
        "/api/%2e/x",
        "//api/x",
        "///api",
        "/api%2fx",
        "/api%2Fx",
        "/api%5cx",
        "/api\\x",
        "/a%70i%00",
        "/%2fapi",
        "/api/..;/x",
    ] {
        let refused = bed.get(path).await;
        assert_eq!((refused.status(), refused.code().as_str()), (400, "bad_path"), "{path}");
    }
    for path in ["/", "/apis", "/API", "/%61pi", "/x/api", "/-/x"] {
        let refused = bed.get(path).await;
        assert_eq!((refused.status(), refused.code().as_str()), (404, "no_such_service"), "{path}");
    }
    assert!(seen.try_recv().is_err(), "nothing of it reached the service");
}

#[tokio::test]
async fn nothing_there_is_said_with_what_there_is() {
    let (address, _seen) = ok().await;
    let bed = Bed::new().await;
    bed.route("shop", address.clone());
    bed.route("api/v2", address);
    let answer = bed.get("/x{b}&").await;
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(json["error"]["service"], serde_json::Value::Null);
    assert_eq!(json["error"]["hint"], "there are: /api/v2, /shop");

    let page = bed.call("GET /x{b}& HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*;q=0.8\r\n\r\n").await;
    assert_eq!(page.status(), 404);
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    let text = page.text();
    assert!(text.contains("/api/v2, /shop") && text.contains("/x{b}&amp;"), "{text}");
    assert!(!text.contains("<script"), "{text}");
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let bed = Bed::new().await;
    let mut client = bed.connect().await;
    for _ in 0..2 {
        client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.head().await.unwrap().status(), 404);
    }
}
