//! Other protocols, after an upgrade.

use std::time::Duration;

use gateway::Settings;

use crate::setup::{Bed, Stage, get, ok, settings};
use crate::wire::Wire;

const ASK: &str = "GET /api/chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: x\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: y\r\n\r\n";

async fn tunnel(bed: &Bed, stage: &Stage) -> (Wire, Wire) {
    let mut client = bed.connect().await;
    client.send(ASK).await;
    let mut upstream = stage.accept().await;
    let request = upstream.head().await.expect("a request");
    assert_eq!(request.first_line(), "GET /chat HTTP/1.1");
    assert_eq!((request.field("connection"), request.field("upgrade")), (Some("upgrade"), Some("websocket")));
    assert_eq!(request.field("sec-websocket-key"), Some("x"));
    // The first words of the other protocol may come along.
    upstream.send(format!("{SWITCH}welcome")).await;
    let response = client.head().await.expect("a response");
    assert_eq!(response.status(), 101);
    assert_eq!(
        (response.field("connection"), response.field("upgrade")),
        (Some("upgrade"), Some("websocket"))
    );
    assert_eq!(response.field("sec-websocket-accept"), Some("y"));
    assert_eq!(client.exactly(7).await.expect("a welcome"), b"welcome");
    (client, upstream)
}

#[tokio::test]
async fn bytes_go_both_ways_until_one_end_closes() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::new().await;
    let leases = bed.route("api", address);
    let (mut client, mut upstream) = tunnel(&bed, &stage).await;
    for frame in [&b"\x81\x85\0\0\0\0hello"[..], b"\n\n", b"GET / HTTP/1.1\r\n\r\n"] {
        client.send(frame).await;
        assert_eq!(upstream.exactly(frame.len()).await.unwrap(), frame);
        upstream.send(frame).await;
        assert_eq!(client.exactly(frame.len()).await.unwrap(), frame);
    }
    assert_eq!((leases.held(), bed.counters.open_connections()), (1, 1));
    assert_eq!(bed.counters.requests(1), 1);
    drop(client);
    assert!(upstream.is_closed().await);
    drop(upstream);
    leases.reach(0).await;
}

#[tokio::test]
async fn a_tunnel_without_a_byte_is_closed() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::with(Settings { idle_timeout: Duration::from_millis(100), ..settings() }).await;
    let leases = bed.route("api", address);
    let (mut client, mut upstream) = tunnel(&bed, &stage).await;
    assert!(client.is_closed().await && upstream.is_closed().await);
    leases.reach(0).await;
}

#[tokio::test]
async fn an_upgrade_that_is_declined_is_an_answer_and_the_end() {
    let (address, _seen) = ok().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    // What follows could be anything, so none of it is a request.
    client.send(format!("{ASK}{}", get("/api/smuggled"))).await;
    let response = client.message().await.unwrap();
    assert_eq!((response.status(), response.field("connection")), (200, Some("close")));
    assert!(client.is_closed().await);
    assert_eq!(bed.counters.requests(2), 1);
}

#[tokio::test]
async fn an_offer_of_h2c_is_not_taken_and_the_connection_goes_on() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    let fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__";
    let response = client.call(format!("GET /api HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")).await;
    assert_eq!((response.status(), response.field("connection")), (200, None));
    let request = crate::setup::next(&mut seen).await;
    assert_eq!((request.field("upgrade"), request.field("http2-settings")), (None, None));
    assert_eq!(client.call(get("/api")).await.status(), 200);
}

#[tokio::test]
async fn an_upstream_that_switches_unasked_is_not_followed() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    client.send(get("/api")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    upstream.send(SWITCH).await;
    assert_eq!(client.message().await.unwrap().code(), "service_failed");
    assert!(upstream.is_closed().await);
}

#[tokio::test]
async fn a_request_that_upgrades_may_have_a_body() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    let head = "POST /api HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nhello";
    client.send(head).await;
    let mut upstream = stage.accept().await;
    assert_eq!(upstream.message().await.unwrap().text(), "hello");
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status(), 101);
    client.send("\n").await;
    assert_eq!(upstream.exactly(1).await.unwrap(), b"\n");
}
