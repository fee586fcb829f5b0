//! Bodies of requests that are too large.

use gateway::Settings;

use crate::setup::{Bed, Stage, get, ok, settings};

async fn bed() -> Bed {
    Bed::with(Settings { max_body_bytes: 10, ..settings() }).await
}

#[tokio::test]
async fn a_length_that_is_too_large_is_refused_at_once() {
    let (address, mut seen) = ok().await;
    let bed = bed().await;
    bed.route("api", address);
    let mut client = bed.connect().await;
    let fits = client.call("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789").await;
    assert_eq!(fits.status(), 200);
    let refused = client.call("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n").await;
    assert_eq!((refused.status(), refused.code().as_str()), (413, "body_too_large"));
    assert_eq!(refused.field("connection"), Some("close"));
    assert!(client.is_closed().await);
    assert!(seen.try_recv().is_ok() && seen.try_recv().is_err());

    let mut client = bed.connect().await;
    let ask = "POST /api HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n";
    assert_eq!(client.call(ask).await.status(), 413);
}

#[tokio::test]
async fn a_client_that_sends_on_sees_its_answer() {
    let (address, _seen) = ok().await;
    let bed = bed().await;
    bed.route("api", address);
    let mut client = bed.connect().await;
    // More than the sockets hold, so that it is sent while the gateway closes.
    let body = vec![b'x'; 8 << 20];
    client.send(format!("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    client.try_send(&body).await;
    assert_eq!(client.message().await.unwrap().status(), 413);
}

#[tokio::test]
async fn a_stream_that_grows_too_large_is_cut_off_and_so_is_the_upstream() {
    let (stage, address) = Stage::new().await;
    let bed = bed().await;
    let leases = bed.route("api", address);
    let mut client = bed.connect().await;
    client.send("POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    assert_eq!(upstream.until(b"hello\r\n").await.unwrap(), b"5\r\nhello\r\n");
    client.send("6\r\nworld!\r\n").await;
    let refused = client.message().await.unwrap();
    assert_eq!((refused.status(), refused.code().as_str()), (413, "body_too_large"));
    assert!(client.is_closed().await);
    assert!(upstream.is_closed().await, "without the last chunk");
    leases.reach(0).await;
}

#[tokio::test]
async fn after_the_head_of_the_response_there_is_only_the_cut() {
    let (stage, address) = Stage::new().await;
    let bed = bed().await;
    bed.route("api", address);
    let mut client = bed.connect().await;
    client.send("POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome").await;
    assert_eq!(client.head().await.unwrap().status(), 200);
    assert_eq!(client.exactly(4).await.unwrap(), b"some");
    client.send("6\r\nworld!\r\n").await;
    assert!(client.is_closed().await);
    upstream.rest().await;
}

#[tokio::test]
async fn a_client_that_goes_away_in_its_body_takes_the_upstream_along() {
    let (stage, address) = Stage::new().await;
    let bed = bed().await;
    let leases = bed.route("api", address);
    let mut client = bed.connect().await;
    client.send("POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello").await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    assert_eq!(upstream.exactly(5).await.unwrap(), b"hello");
    drop(client);
    assert!(upstream.is_closed().await);
    leases.reach(0).await;
    assert_eq!(bed.call(get("/none")).await.status(), 404);
}
