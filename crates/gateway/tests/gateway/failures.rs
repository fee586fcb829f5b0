//! Upstreams that are not there, die, or talk nonsense; clients that go away.

use crate::setup::{Bed, Stage, get, nobody, ok};

#[tokio::test]
async fn nobody_listens() {
    let bed = Bed::before(nobody()).await;
    let mut client = bed.connect().await;
    for _ in 0..2 {
        let answer = client.call(get("/api")).await;
        assert_eq!((answer.status(), answer.code().as_str()), (502, "service_unreachable"));
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(json["error"]["service"], "api");
    }
}

#[tokio::test]
async fn an_upstream_dies_before_its_head_is_there() {
    for sent in ["", "HTTP/1.1 200 O", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "nonsense\r\n\r\n"] {
        let (stage, address) = Stage::new().await;
        let bed = Bed::before(address).await;
        let mut client = bed.connect().await;
        client.send(get("/api")).await;
        let mut upstream = stage.accept().await;
        upstream.head().await.unwrap();
        upstream.send(sent).await;
        drop(upstream);
        let answer = client.message().await.unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (502, "service_failed"), "{sent:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_dies_in_its_body_leaves_an_incomplete_message() {
    for (head, whole) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "5\r\nhello\r\n"),
    ] {
        let (stage, address) = Stage::new().await;
        let bed = Bed::new().await;
        let leases = bed.route("api", address);
        let mut client = bed.connect().await;
        client.send(get("/api")).await;
        let mut upstream = stage.accept().await;
        upstream.head().await.unwrap();
        upstream.send(head).await;
        assert_eq!(client.head().await.unwrap().status(), 200);
        assert_eq!(client.exactly(whole.len()).await.unwrap(), whole.as_bytes());
        drop(upstream);
        assert!(client.is_closed().await, "and there is no last chunk");
        leases.reach(0).await;
    }
}

#[tokio::test]
async fn what_an_upstream_sent_before_it_died_arrives() {
    for (sent, whole) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "5\r\nhello\r\n"),
    ] {
        let (stage, address) = Stage::new().await;
        let bed = Bed::before(address).await;
        let mut client = bed.connect().await;
        client.send(get("/api")).await;
        let mut upstream = stage.accept().await;
        upstream.head().await.unwrap();
        // All of it and the end in one.
        upstream.send(sent).await;
        drop(upstream);
        assert_eq!(client.head().await.unwrap().status(), 200, "{sent:?}");
        assert_eq!(client.exactly(whole.len()).await.unwrap(), whole.as_bytes());
        assert!(client.is_closed().await, "and there is no last chunk: {sent:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_request() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::new().await;
    let leases = bed.route("api", address);
    // Before the head of the response, and in its body.
    for begun in [false, true] {
        let mut client = bed.connect().await;
        client.send(get("/api")).await;
        let mut upstream = stage.accept().await;
        upstream.head().await.unwrap();
        if begun {
            upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
            client.head().await.unwrap();
        }
        assert_eq!(leases.held(), 1);
        drop(client);
        assert!(upstream.is_closed().await);
        leases.reach(0).await;
    }
}

#[tokio::test]
async fn one_client_that_fails_does_not_disturb_another() {
    let (address, _seen) = ok().await;
    let bed = Bed::before(address).await;
    let mut good = bed.connect().await;
    assert_eq!(good.call(get("/api")).await.text(), "ok");
    let bad = bed.call("nonsense\r\n\r\n").await;
    assert_eq!(bad.status(), 400);
    assert_eq!(good.call(get("/api")).await.text(), "ok");
    let opens = bed.counters.open_connections();
    assert!(opens >= 1, "{opens}");
}
