//! Bodies that come piece by piece, in both directions, as fast as the slower side.

use tokio::io::AsyncWriteExt as _;

use crate::setup::{Bed, Stage, get};
use crate::wire::within;

#[tokio::test]
async fn events_arrive_one_by_one() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::new().await;
    let leases = bed.route("api", address);
    let mut client = bed.connect().await;
    client.send(get("/api/events")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    upstream.send(head).await;
    assert_eq!(client.head().await.unwrap().field("content-type"), Some("text/event-stream"));
    for number in 0..5 {
        let event = format!("data: {number}\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        upstream.send(&chunk).await;
        assert_eq!(client.until(event.as_bytes()).await.unwrap(), &chunk.as_bytes()[..chunk.len() - 2]);
        assert_eq!(client.exactly(2).await.unwrap(), b"\r\n");
        assert_eq!(leases.held(), 1);
    }
    upstream.send("0\r\n\r\n").await;
    assert_eq!(client.exactly(5).await.unwrap(), b"0\r\n\r\n");
    leases.reach(0).await;
}

#[tokio::test]
async fn a_body_arrives_while_it_is_sent() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    client.send("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n").await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    for piece in ["he", "ll", "o "] {
        client.send(piece).await;
        assert_eq!(upstream.exactly(2).await.unwrap(), piece.as_bytes());
    }
    // The response begins before the request ends, and both go on.
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").await;
    assert_eq!(client.head().await.unwrap().status(), 200);
    assert_eq!(client.exactly(2).await.unwrap(), b"ab");
    client.send("you!").await;
    assert_eq!(upstream.exactly(4).await.unwrap(), b"you!");
    upstream.send("cd").await;
    assert_eq!(client.exactly(2).await.unwrap(), b"cd");
}

/// Writes until nothing has been taken for a while, and says how much was.
async fn fill(stream: &mut tokio::net::TcpStream) -> usize {
    let (piece, mut written) = (vec![b'x'; 64 * 1024], 0);
    loop {
        // Not a bound: a pause only means that less is held back than could be.
        let pause = std::time::Duration::from_millis(200);
        match tokio::time::timeout(pause, stream.write(&piece)).await {
            Ok(count) => written += count.expect("the other end is there"),
            Err(_) => return written,
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_upstream_back() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    client.send(get("/api")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    let total = 256 << 20;
    upstream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n")).await;
    client.head().await.unwrap();
    let held = fill(&mut upstream.stream).await;
    assert!(held < 64 << 20, "{held} bytes were taken for a client that reads none");
    // And goes on where it stood.
    let reading = tokio::spawn(async move { client.exactly(held + 1).await.is_some() });
    upstream.send("x").await;
    assert!(within(reading).await.unwrap());
}

#[tokio::test]
async fn an_upstream_that_does_not_read_holds_the_client_back() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::with(gateway::Settings { max_body_bytes: u64::MAX, ..crate::setup::settings() }).await;
    bed.route("api", address);
    let mut client = bed.connect().await;
    client.send(format!("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 256 << 20)).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    let held = fill(&mut client.stream).await;
    assert!(held < 64 << 20, "{held} bytes were taken for an upstream that reads none");
    let reading = tokio::spawn(async move { upstream.exactly(held + 1).await.is_some() });
    client.send("x").await;
    assert!(within(reading).await.unwrap());
}

#[tokio::test]
async fn a_large_body_goes_through_and_comes_back() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut client = bed.connect().await;
    let echo = tokio::spawn(async move {
        let mut upstream = stage.accept().await;
        let request = upstream.message().await.expect("a request");
        upstream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len())).await;
        upstream.send(&request.body).await;
    });
    client.send(format!("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    client.send(&body).await;
    assert!(client.message().await.unwrap().body == body);
    within(echo).await.unwrap();
}
