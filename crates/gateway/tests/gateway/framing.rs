//! Bodies with a length, in chunks, with trailers, and many requests on one connection.

use crate::setup::{Bed, Stage, answering, get, next, ok};

#[tokio::test]
async fn bodies_pass_with_the_framing_that_they_came_with() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    client.call("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
    let request = next(&mut seen).await;
    assert_eq!((request.field("content-length"), request.text().as_str()), (Some("5"), "hello"));

    client
        .call("GET /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        .await;
    let request = next(&mut seen).await;
    assert_eq!((request.field("content-length"), request.text().as_str()), (None, "5\r\nhello\r\n0\r\n\r\n"));

    client.call("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    let request = next(&mut seen).await;
    assert_eq!((request.field("content-length"), request.field("transfer-encoding")), (Some("0"), None));

    client.call("POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await;
    assert_eq!(next(&mut seen).await.text(), "0\r\n\r\n");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_turn() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    let post = "POST /api/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = "POST /api/4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    client.send(format!("{}{post}\r\n{}{chunked}{}", get("/api/1"), get("/none"), get("/api/5"))).await;
    for status in [200, 200, 404, 200, 200] {
        assert_eq!(client.message().await.unwrap().status(), status);
    }
    for line in ["GET /1", "POST /2", "POST /4", "GET /5"] {
        assert_eq!(next(&mut seen).await.first_line(), format!("{line} HTTP/1.1"));
    }
}

#[tokio::test]
async fn responses_pass_with_the_framing_that_they_came_with() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let (address, _seen) = answering(chunked).await;
    let bed = Bed::before(address).await;
    let response = bed.get("/api").await;
    assert_eq!(response.field("content-length"), None);
    assert_eq!(response.text(), "5\r\nhello\r\n0\r\n\r\n");

    // Without any framing the end of the connection is the end of the body.
    let (stage, address) = Stage::new().await;
    bed.route("open", address);
    let mut client = bed.connect().await;
    client.send(get("/open")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    upstream.send("HTTP/1.1 200 OK\r\n\r\nhello").await;
    drop(upstream);
    assert_eq!(client.message().await.unwrap().text(), "5\r\nhello\r\n0\r\n\r\n");
}

#[tokio::test]
async fn responses_that_say_two_lengths_leave_with_one() {
    let chunked = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (fields, length, body) in [
        (chunked, None, "5\r\nhello\r\n0\r\n\r\n"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Some("5"), "hello"),
        ("Content-Length: 5, 5\r\n\r\nhello", Some("5"), "hello"),
    ] {
        let (stage, address) = Stage::new().await;
        let bed = Bed::before(address).await;
        let mut client = bed.connect().await;
        client.send(get("/api")).await;
        let mut upstream = stage.accept().await;
        upstream.head().await.unwrap();
        upstream.send(format!("HTTP/1.1 200 OK\r\n{fields}")).await;
        let response = client.message().await.unwrap();
        assert_eq!((response.field("content-length"), response.text().as_str()), (length, body), "{fields}");
    }
    let (address, _seen) =
        answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello").await;
    let bed = Bed::before(address).await;
    assert_eq!(bed.get("/api").await.code(), "service_failed");
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 7\r\n\r\n";
    let (address, mut seen) = answering(response).await;
    let bed = Bed::before(address).await;
    let head = "POST /api HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Check\r\nTransfer-Encoding: chunked\r\n\r\n";
    let response = bed.call(format!("{head}1\r\ny\r\n0\r\nX-Check: 8\r\n\r\n")).await;
    assert_eq!(response.text().to_lowercase(), "1\r\nx\r\n0\r\nx-sum: 7\r\n\r\n");
    assert_eq!(next(&mut seen).await.text().to_lowercase(), "1\r\ny\r\n0\r\nx-check: 8\r\n\r\n");
}

#[tokio::test]
async fn a_client_goes_on_when_the_upstream_says_so() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    client.send("POST /api HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    let mut upstream = stage.accept().await;
    assert_eq!(upstream.head().await.unwrap().field("expect"), Some("100-continue"));
    upstream.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status(), 100);
    client.send("hello").await;
    assert_eq!(upstream.exactly(5).await.unwrap(), b"hello");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.message().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_does_not_go_on_when_the_upstream_does_not_want_its_body() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    client.send("POST /api HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    upstream.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
    let response = client.message().await.unwrap();
    assert_eq!((response.status(), response.field("connection")), (401, Some("close")));
    assert!(client.is_closed().await);
    assert!(upstream.is_closed().await, "and nothing of the body came");
}

#[tokio::test]
async fn an_upstream_that_does_not_know_the_question_gets_the_body_all_the_same() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    client.send("POST /api HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status(), 100);
    assert_eq!(client.call("hello").await.text(), "ok");
    assert_eq!(next(&mut seen).await.text(), "hello");
}

#[tokio::test]
async fn interim_responses_are_skipped() {
    let response =
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (address, _seen) = answering(response).await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    for _ in 0..2 {
        assert_eq!(client.call(get("/api")).await.text(), "ok");
    }
}
