//! Clients and upstreams that take too long.

use std::time::Duration;

use gateway::Settings;

use crate::setup::{Bed, Stage, get, ok, settings};

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end() {
    let (address, _seen) = ok().await;
    let bed = Bed::with(Settings { head_timeout: SHORT, ..settings() }).await;
    bed.route("api", address);
    for before in [0, 2] {
        let mut client = bed.connect().await;
        for _ in 0..before {
            assert_eq!(client.call(get("/api")).await.text(), "ok");
        }
        let answer = client.call("GET /api HTTP/1.1\r\nHost").await;
        assert_eq!((answer.status(), answer.code().as_str()), (408, "request_timeout"));
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn a_connection_between_two_requests() {
    let (address, _seen) = ok().await;
    let bed = Bed::with(Settings { idle_timeout: SHORT, ..settings() }).await;
    bed.route("api", address);
    // Never said anything, had an answer, sent an empty line.
    for (calls, more) in [(0, ""), (1, ""), (1, "\r\n")] {
        let mut client = bed.connect().await;
        for _ in 0..calls {
            assert_eq!(client.call(get("/api")).await.text(), "ok");
        }
        client.send(more).await;
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn a_client_that_waits_for_its_answer_is_not_idle() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::with(Settings { idle_timeout: SHORT, ..settings() }).await;
    bed.route("api", address);
    let mut client = bed.connect().await;
    client.send(get("/api")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    tokio::time::sleep(SHORT * 4).await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await;
    client.head().await.unwrap();
    tokio::time::sleep(SHORT * 4).await;
    upstream.send("k").await;
    assert_eq!(client.exactly(2).await.unwrap(), b"ok");
    assert!(client.is_closed().await, "now it is");
}

#[tokio::test]
async fn a_client_that_does_not_read() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::with(Settings { idle_timeout: SHORT, ..settings() }).await;
    let leases = bed.route("api", address);
    let mut client = bed.connect().await;
    client.send(get("/api")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    upstream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 256 << 20)).await;
    upstream.try_send(vec![b'x'; 256 << 20]).await;
    leases.reach(0).await;
}

#[tokio::test]
async fn a_body_that_stands_still() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::with(Settings { body_timeout: SHORT, ..settings() }).await;
    let leases = bed.route("api", address);
    for framing in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut client = bed.connect().await;
        client.send(format!("POST /api HTTP/1.1\r\nHost: a\r\n{framing}")).await;
        let mut upstream = stage.accept().await;
        upstream.head().await.unwrap();
        let answer = client.message().await.unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (408, "request_timeout"));
        assert!(client.is_closed().await);
        upstream.rest().await;
        leases.reach(0).await;
    }
}

#[tokio::test]
async fn an_upstream_without_an_answer() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::with(Settings { response_timeout: SHORT, ..settings() }).await;
    let leases = bed.route("api", address);
    let mut client = bed.connect().await;
    for request in [&get("/api"), "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"] {
        client.send(request).await;
        let mut upstream = stage.accept().await;
        let answer = client.message().await.unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (504, "service_timeout"));
        upstream.rest().await;
        leases.reach(0).await;
    }
}

#[tokio::test]
async fn an_upstream_that_answered_may_take_its_time() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::with(Settings { response_timeout: SHORT, ..settings() }).await;
    bed.route("api", address);
    let mut client = bed.connect().await;
    client.send(get("/api")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
    client.head().await.unwrap();
    tokio::time::sleep(SHORT * 4).await;
    upstream.send("ok").await;
    assert_eq!(client.exactly(2).await.unwrap(), b"ok");
}

#[tokio::test]
async fn a_slow_body_is_not_the_upstreams_fault() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::with(Settings { response_timeout: SHORT, ..settings() }).await;
    bed.route("api", address);
    let mut client = bed.connect().await;
    client.send("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n").await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    tokio::time::sleep(SHORT * 4).await;
    client.send("hi").await;
    assert_eq!(upstream.exactly(2).await.unwrap(), b"hi");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
}
