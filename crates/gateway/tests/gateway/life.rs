//! Beginning and end of a gateway.

use std::net::SocketAddr;

use gateway::{Gateway, Routes, Settings};
use tokio::net::{TcpListener, TcpStream};

use crate::setup::{Bed, Stage, get, ok, settings, until};
use crate::wire::within;

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error =
        Gateway::bind(Settings { tcp: Some(address), ..settings() }, Routes::default()).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    let error = Gateway::bind(Settings { tcp: None, ..settings() }, Routes::default()).await.unwrap_err();
    assert!(error.to_string().contains("no address"), "{error}");
}

#[tokio::test]
async fn a_socket_takes_the_place_of_one_that_was_left_over_and_of_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web.sock");
    let bind =
        || Gateway::bind(Settings { tcp: None, unix: Some(path.clone()), ..settings() }, Routes::default());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let gateway = bind().await.unwrap();
    assert_eq!(gateway.tcp_address(), None::<SocketAddr>);
    let error = bind().await.unwrap_err();
    assert!(
        error.to_string().contains("web.sock") && error.kind() == std::io::ErrorKind::AddrInUse,
        "{error}"
    );
    drop(gateway);
    assert!(!path.exists());
    std::fs::write(&path, "mine").unwrap();
    assert!(bind().await.unwrap_err().to_string().contains("not a socket"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    let nowhere = dir.path().join("none/web.sock");
    let error =
        Gateway::bind(Settings { tcp: None, unix: Some(nowhere), ..settings() }, Routes::default()).await;
    assert!(error.unwrap_err().to_string().contains("none/web.sock"));
}

#[tokio::test]
async fn what_is_under_way_comes_to_its_end_and_nothing_new_begins() {
    let (stage, address) = Stage::new().await;
    let mut bed = Bed::before(address).await;
    let (mut busy, mut idle, mut silent) = (bed.connect().await, bed.connect().await, bed.connect().await);
    assert_eq!(idle.call(get("/none")).await.status(), 404);
    busy.send(get("/api")).await;
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    until(|| bed.counters.open_connections() == 3).await;
    drop(bed.stop.take());
    assert!(idle.is_closed().await && silent.is_closed().await);
    assert!(within(TcpStream::connect(bed.address)).await.is_err());
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let response = busy.message().await.unwrap();
    assert_eq!((response.text().as_str(), response.field("connection")), ("ok", Some("close")));
    assert!(busy.is_closed().await);
    within(bed.served).await.unwrap();
    assert_eq!(bed.counters.open_connections(), 0);
}

#[tokio::test]
async fn what_does_not_come_to_its_end_is_cut() {
    let (stage, address) = Stage::new().await;
    let mut bed = Bed::new().await;
    let leases = bed.route("api", address);
    let (mut waiting, mut tunnelled) = (bed.connect().await, bed.connect().await);
    waiting.send(get("/api")).await;
    let mut first = stage.accept().await;
    first.head().await.unwrap();
    tunnelled.send("GET /api HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    let mut second = stage.accept().await;
    second.head().await.unwrap();
    second.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await;
    assert_eq!(tunnelled.head().await.unwrap().status(), 101);
    drop(bed.stop.take());
    assert!(waiting.is_closed().await && tunnelled.is_closed().await);
    assert!(first.is_closed().await && second.is_closed().await);
    within(bed.served).await.unwrap();
    leases.reach(0).await;
}

#[tokio::test]
async fn a_gateway_that_is_dropped_lets_go_of_everything() {
    let (address, _seen) = ok().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    assert_eq!(client.call(get("/api")).await.status(), 200);
    bed.served.abort();
    assert!(client.is_closed().await);
}
