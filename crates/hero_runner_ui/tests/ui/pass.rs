//! What is passed on to the server as it is.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::samples::everything;
use crate::stand_in::{Pages, ask};

fn thing() -> Pages {
    Pages::new(|method, _| everything("thing", method))
}

#[tokio::test]
async fn calls_and_documents_come_from_the_server() {
    let pages = thing();
    let batch =
        r#"[{"jsonrpc":"2.0","id":1,"method":"log_level"},{"jsonrpc":"2.0","id":2,"method":"nothing"}]"#;
    let seen = pages.send("/rpc", "application/json", batch).await;
    let told: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(
        (&told[0]["result"]["level"], &told[1]["error"]["data"]["code_name"]),
        (&json!("thing"), &json!("invalid_params"))
    );
    assert_eq!(pages.get("/openrpc.json", "").await.body, api::openrpc::text());
    let seen = pages
        .get(
            "/metrics",
            "cookie: a=b\r\nreferer: http://x/\r\norigin: http://x\r\nte: trailers\r\nx-hero-token: t\r\n",
        )
        .await;
    assert_eq!(seen.status, 201, "whatever the server says");
    let (head, _) = pages.passed().remove(0);
    assert!(head.starts_with("GET /metrics\n"), "{head}");
    for gone in ["cookie", "referer", "origin", "te:", "x-hero-token", "connection"] {
        assert!(!head.contains(&format!("\n{gone}")), "{gone} in {head}");
    }
}

#[tokio::test]
async fn events_come_one_by_one_and_can_be_resumed() {
    let pages = thing();
    let mut stream = pages.connect().await;
    let head = "GET /sse/session/ses-1?after_seq=4 HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip, br\r\nlast-event-id: 7\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = String::new();
    // Each is there before the next one is sent: nothing is held back.
    for piece in ["id: 8\nevent: stdout\ndata: {}\n\n", ": alive\n\n", "id: 9\nevent: stdout\ndata: {}\n\n"] {
        pages.event(piece).await;
        let mut bytes = [0; 4096];
        while !seen.contains(piece) {
            let read = stream.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "{seen}");
            seen += std::str::from_utf8(&bytes[..read]).unwrap();
        }
    }
    assert!(seen.contains("content-type: text/event-stream") && !seen.contains("content-encoding"), "{seen}");
    assert_eq!(pages.passed(), [("GET /sse/session/ses-1?after_seq=4 after 7".to_owned(), 0)]);
}

#[tokio::test]
async fn uploads_of_any_size_are_streamed() {
    let pages = thing();
    let body = "x".repeat(5 << 20);
    for path in ["/upload?name=a", "/modules/a%20b", "/modules"] {
        let seen = pages.send(path, "application/wasm", &body).await;
        assert_eq!(seen.status, 201, "{path}: {}", seen.body);
        let (head, bytes) = pages.passed().pop().unwrap();
        assert!(head.starts_with(&format!("POST {path}\n")), "{head}");
        assert_eq!(bytes, body.len());
    }
    assert_eq!(pages.get("/modules/a/b", "").await.status, 404);
}

#[tokio::test]
async fn without_a_server_the_reason_comes_in_the_shape_of_an_error() {
    let pages = Pages::without_server();
    let seen = pages.send("/rpc", "application/json", "{}").await;
    let told: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!((seen.status, &told["error"]["data"]["code_name"]), (503, &json!("server_not_running")));
    assert_eq!(told["error"]["data"]["hint"], "start it with `hero_runner --start`");
    let seen =
        ask(&pages.socket(), "GET /sse/session/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(seen.status, 503);
}
