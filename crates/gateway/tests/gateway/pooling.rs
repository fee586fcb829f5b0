//! Connections to upstreams: kept, checked, and replaced when they are closed.

use crate::setup::{Bed, Stage, get, next, ok, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_connection_is_used_again_and_the_lease_is_not_kept() {
    let (address, mut seen) = ok().await;
    let bed = Bed::new().await;
    let leases = bed.route("api", address);
    let mut client = bed.connect().await;
    for _ in 0..5 {
        assert_eq!(client.call(get("/api")).await.text(), "ok");
        next(&mut seen).await;
        leases.reach(0).await;
    }
    assert_eq!((bed.counters.upstream_connects(), bed.counters.upstream_reused()), (1, 4));
    assert_eq!(bed.counters.requests(2), 5);
}

#[tokio::test]
async fn an_answer_that_closes_is_not_followed_by_another_request() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    for _ in 0..3 {
        client.send(get("/api")).await;
        let mut upstream = stage.accept().await;
        upstream.head().await.unwrap();
        upstream.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(client.message().await.unwrap().text(), "ok");
    }
    assert_eq!(bed.counters.upstream_reused(), 0);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced_whatever_the_request() {
    for request in [
        get("/api"),
        "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "POST /api HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ] {
        let (stage, address) = Stage::new().await;
        let bed = Bed::before(address).await;
        let mut client = bed.connect().await;
        for _ in 0..2 {
            client.send(&request).await;
            let mut upstream = stage.accept().await;
            upstream.message().await.unwrap();
            upstream.send(OK).await;
            assert_eq!(client.message().await.unwrap().text(), "ok");
            // Closed before the next request is sent.
            drop(upstream);
        }
        assert_eq!(bed.counters.upstream_connects(), 2);
    }
}

#[tokio::test]
async fn a_request_that_was_read_and_dropped_is_repeated_if_that_is_safe() {
    for (request, repeated) in [
        (get("/api"), true),
        ("DELETE /api HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), true),
        ("POST /api HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), false),
        ("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_owned(), false),
        ("PUT /api HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_owned(), false),
        // Without its body it was no request yet.
        (
            "POST /api HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n".to_owned(),
            true,
        ),
    ] {
        let (stage, address) = Stage::new().await;
        let bed = Bed::before(address).await;
        let mut client = bed.connect().await;
        client.send(get("/api")).await;
        let mut upstream = stage.accept().await;
        upstream.head().await.unwrap();
        upstream.send(OK).await;
        client.message().await.unwrap();

        client.send(&request).await;
        upstream.head().await.expect("the second request comes over the same connection");
        drop(upstream);
        if repeated {
            let mut upstream = stage.accept().await;
            let again = upstream.head().await.unwrap();
            assert_eq!(again.first_line().split(' ').next(), request.split(' ').next());
            upstream.send(OK).await;
            assert_eq!(client.message().await.unwrap().text(), "ok", "{request}");
        } else {
            assert_eq!(client.message().await.unwrap().code(), "service_failed", "{request}");
            assert_eq!(bed.counters.upstream_connects(), 1, "{request}");
        }
    }
}

#[tokio::test]
async fn a_new_connection_that_is_dropped_is_not_tried_again() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    client.send(get("/api")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    drop(upstream);
    assert_eq!(client.message().await.unwrap().status(), 502);
    assert_eq!(bed.counters.upstream_connects(), 1);
}

#[tokio::test]
async fn what_was_left_unread_is_not_the_next_answer() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    client.send(get("/api")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    // A second answer that nobody asked for.
    upstream.send(format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")).await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
    client.send(get("/api")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    upstream.send(OK).await;
    assert_eq!(client.message().await.unwrap().text(), "ok");
    until(|| bed.counters.requests(2) == 2).await;
}
