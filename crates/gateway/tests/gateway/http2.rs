//! HTTP/2 with prior knowledge, on the same port.

use std::time::Duration;

use bytes::Bytes;
use gateway::Settings;
use http::{Method, Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::setup::{Bed, Stage, answering, get, next, ok, settings};
use crate::wire::within;

async fn connect(bed: &Bed) -> (SendRequest<Full<Bytes>>, tokio::task::JoinHandle<()>) {
    let stream = TcpStream::connect(bed.address).await.expect("the gateway listens");
    let (sender, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("the gateway speaks HTTP/2");
    let driven = tokio::spawn(async move {
        // How it ends is seen in the responses.
        let _ = connection.await;
    });
    (sender, driven)
}

fn request(method: Method, path: &str, body: &'static str) -> Request<Full<Bytes>> {
    let uri = format!("http://example.com:81{path}");
    Request::builder().method(method).uri(uri).body(Full::from(body)).expect("a request")
}

async fn text(response: Response<Incoming>) -> String {
    let body = within(response.into_body().collect()).await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("a text")
}

#[tokio::test]
async fn requests_reach_an_upstream_as_http_1() {
    let (address, mut seen) =
        answering("HTTP/1.1 200 OK\r\nX-Y: z\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok").await;
    let bed = Bed::before(address).await;
    let (mut sender, _driven) = connect(&bed).await;
    let mut get = request(Method::GET, "/api/x?q", "");
    get.headers_mut().append("cookie", "a=1".parse().unwrap());
    get.headers_mut().append("cookie", "b=2".parse().unwrap());
    let response = within(sender.send_request(get)).await.unwrap();
    assert_eq!((response.version(), response.status().as_u16()), (Version::HTTP_2, 200));
    assert_eq!(response.headers()["x-y"], "z");
    assert!(!response.headers().contains_key("connection"));
    assert_eq!(text(response).await, "ok");
    let request_seen = next(&mut seen).await;
    assert_eq!(request_seen.first_line(), "GET /x?q HTTP/1.1");
    assert_eq!(request_seen.field("host"), Some("example.com:81"));
    assert_eq!(request_seen.field("cookie"), Some("a=1; b=2"));
    assert_eq!(request_seen.field("x-forwarded-prefix"), Some("/api"));
    assert_eq!(request_seen.field("content-length"), None);

    let response = within(sender.send_request(request(Method::POST, "/api", "hello"))).await.unwrap();
    assert_eq!(text(response).await, "ok");
    let posted = next(&mut seen).await;
    assert_eq!((posted.field("content-length"), posted.text().as_str()), (Some("5"), "hello"));
}

#[tokio::test]
async fn requests_run_side_by_side() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let (mut sender, _driven) = connect(&bed).await;
    let first = sender.send_request(request(Method::GET, "/api/1", ""));
    let second = sender.send_request(request(Method::GET, "/api/2", ""));
    let both =
        tokio::spawn(async move { (first.await.expect("an answer"), second.await.expect("an answer")) });
    let (mut one, mut two) = (stage.accept().await, stage.accept().await);
    for upstream in [&mut one, &mut two] {
        upstream.head().await.unwrap();
    }
    for upstream in [&mut two, &mut one] {
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    }
    let (first, second) = within(both).await.unwrap();
    assert_eq!((text(first).await, text(second).await), ("ok".into(), "ok".into()));
}

#[tokio::test]
async fn refusals_are_the_same() {
    let (address, _seen) = ok().await;
    let bed = Bed::with(Settings { max_body_bytes: 4, max_head_bytes: 4096, ..settings() }).await;
    bed.route("api", address);
    let (mut sender, _driven) = connect(&bed).await;
    let large = {
        let mut request = request(Method::GET, "/api", "");
        request.headers_mut().insert("x", "x".repeat(8000).parse().unwrap());
        request
    };
    let other = {
        let mut request = request(Method::GET, "/api", "");
        request.headers_mut().insert("host", "evil".parse().unwrap());
        request
    };
    for (request, status) in [
        (request(Method::GET, "/none", ""), 404),
        (request(Method::GET, "/api/../x", ""), 400),
        (request(Method::POST, "/api", "hello"), 413),
        (large, 431),
        (other, 400),
        (request(Method::GET, "/api", ""), 200),
    ] {
        let response = within(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
}

#[tokio::test]
async fn an_upstream_that_dies_resets_the_stream_alone() {
    let (stage, address) = Stage::new().await;
    let bed = Bed::before(address).await;
    let (mut sender, _driven) = connect(&bed).await;
    let answered = tokio::spawn(sender.send_request(request(Method::GET, "/api", "")));
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    let response = within(answered).await.unwrap().unwrap();
    drop(upstream);
    assert!(within(response.into_body().collect()).await.is_err());
    let response = within(sender.send_request(request(Method::GET, "/none", ""))).await.unwrap();
    assert_eq!(response.status().as_u16(), 404);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_stopped_gateway_says_goodbye() {
    let bed = Bed::with(Settings { idle_timeout: Duration::from_millis(100), ..settings() }).await;
    let (mut sender, driven) = connect(&bed).await;
    within(sender.send_request(request(Method::GET, "/none", ""))).await.unwrap();
    within(driven).await.unwrap();

    let (stage, address) = Stage::new().await;
    let mut bed = Bed::before(address).await;
    let (mut sender, driven) = connect(&bed).await;
    let answered = tokio::spawn(sender.send_request(request(Method::GET, "/api", "")));
    let mut upstream = stage.accept().await;
    upstream.head().await.unwrap();
    drop(bed.stop.take());
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(text(within(answered).await.unwrap().unwrap()).await, "ok");
    within(driven).await.unwrap();
    within(bed.served).await.unwrap();
}

#[tokio::test]
async fn http_1_is_told_apart_even_if_it_begins_alike() {
    let bed = Bed::new().await;
    let mut client = bed.connect().await;
    let (first, second) = ("P", "ROPFIND /none HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send(first).await;
    assert_eq!(client.call(second).await.status(), 404);
    assert_eq!(client.call(get("/none")).await.status(), 404);
    let answer = bed.call("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
    assert_eq!(answer.code(), "bad_request");
}
