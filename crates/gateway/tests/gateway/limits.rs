//! Heads that are too large, and more connections than there is room for.

use gateway::Settings;

use crate::setup::{Bed, get, ok, settings, until};
use crate::wire::Wire;

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (address, mut seen) = ok().await;
    let bed = Bed::with(Settings { max_head_bytes: 2000, ..settings() }).await;
    bed.route("api", address);
    let long = "x".repeat(1900);
    let head = |long: &str, fields: &str| format!("GET /api/{long} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    assert_eq!(bed.call(head(&long, "")).await.status(), 200);
    for request in [
        head(&long, &format!("X: {long}\r\n")),
        head("", &format!("X: {long}{long}\r\n")),
        head(&format!("{long}{long}"), ""),
        head("", &"x: y\r\n".repeat(200)),
        "x".repeat(3000),
    ] {
        let mut client = bed.connect().await;
        client.send(format!("{}{request}", get("/api"))).await;
        assert_eq!(client.message().await.unwrap().status(), 200);
        let answer = client.message().await.unwrap();
        assert_eq!((answer.status(), answer.code().as_str()), (431, "head_too_large"));
        assert!(client.is_closed().await);
    }
    for _ in 0..6 {
        assert!(seen.try_recv().is_ok());
    }
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn a_large_head_passes_if_it_may() {
    let (address, mut seen) = ok().await;
    let bed = Bed::with(Settings { max_head_bytes: 200_000, ..settings() }).await;
    bed.route("api", address);
    let value = "x".repeat(150_000);
    let mut client = bed.connect().await;
    for _ in 0..2 {
        let request = format!("GET /api HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n");
        assert_eq!(client.call(request).await.status(), 200);
        assert_eq!(crate::setup::next(&mut seen).await.field("x").unwrap().len(), value.len());
    }
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let (address, _seen) = ok().await;
    let bed = Bed::with(Settings { max_connections: 2, ..settings() }).await;
    bed.route("api", address);
    let (mut first, mut second) = (bed.connect().await, bed.connect().await);
    assert_eq!(first.call(get("/api")).await.status(), 200);
    assert_eq!(second.call(get("/api")).await.status(), 200);
    let mut third = bed.connect().await;
    let answer = third.message().await.unwrap();
    assert_eq!((answer.status(), answer.code().as_str()), (503, "too_many_connections"));
    assert!(third.is_closed().await);
    assert_eq!((bed.counters.open_connections(), bed.counters.refused_connections()), (2, 1));
    drop(first);
    until(|| bed.counters.open_connections() == 1).await;
    assert_eq!(bed.get("/api").await.status(), 200);
}

#[tokio::test]
async fn a_thousand_connections_are_served() {
    let (address, _seen) = ok().await;
    let bed = Bed::before(address).await;
    let mut clients: Vec<Wire> = Vec::new();
    for _ in 0..1000 {
        clients.push(bed.connect().await);
    }
    for _ in 0..2 {
        for client in &mut clients {
            client.send(get("/api")).await;
        }
        for client in &mut clients {
            assert_eq!(client.message().await.unwrap().text(), "ok");
        }
    }
    assert_eq!((bed.counters.open_connections(), bed.counters.requests(2)), (1000, 2000));
}
