//! What an upstream sees of a request, and a client of a response.

use crate::setup::{Bed, answering, next, ok};

#[tokio::test]
async fn the_prefix_is_taken_off_and_the_rest_is_passed_byte_for_byte() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    for (sent, arrived) in [
        ("/api", "/"),
        ("/api/", "/"),
        ("/api?q=/a/b", "/?q=/a/b"),
        ("/api/x/y?z=1&z=%20", "/x/y?z=1&z=%20"),
        ("/api//x//", "//x//"),
        ("/api/a%2Fb%5c%00;v=1", "/a%2Fb%5c%00;v=1"),
        ("/api/%C3%A9/é", "/%C3%A9/é"),
        ("/api/x?../..", "/x?../.."),
    ] {
        assert_eq!(bed.get(sent).await.text(), "ok");
        assert_eq!(next(&mut seen).await.first_line(), format!("GET {arrived} HTTP/1.1"));
    }
}

#[tokio::test]
async fn the_longest_prefix_answers_and_what_changes_counts_at_once() {
    let (first, _first) = answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").await;
    let (second, _second) = answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2").await;
    let bed = Bed::new().await;
    bed.route("api", first.clone());
    bed.route("api/v2", second);
    assert_eq!(bed.get("/api/v1").await.text(), "1");
    assert_eq!(bed.get("/api/v2").await.text(), "2");
    assert_eq!(bed.get("/api/v2x").await.text(), "1");
    bed.routes.remove("api/v2");
    assert_eq!(bed.get("/api/v2").await.text(), "1");
    bed.routes.remove("api");
    assert_eq!(bed.get("/api/v2").await.code(), "no_such_service");
}

#[tokio::test]
async fn the_forwarded_fields_say_who_asked_and_for_what() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    bed.call("GET /api/x HTTP/1.1\r\nHost: example.com:81\r\n\r\n").await;
    let request = next(&mut seen).await;
    assert_eq!(request.field("host"), Some("example.com:81"));
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-host"), Some("example.com:81"));
    assert_eq!(request.field("x-forwarded-prefix"), Some("/api"));
    assert_eq!(request.field("forwarded"), Some("for=127.0.0.1;host=\"example.com:81\";proto=http"));
}

#[tokio::test]
async fn what_a_client_claims_is_appended_to_or_replaced() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    let claims = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=9.9.9.9";
    bed.call(format!("GET /api HTTP/1.1\r\nHost: a\r\n{claims}\r\n\r\n")).await;
    let request = next(&mut seen).await;
    assert_eq!(request.field("x-forwarded-for"), Some("1.2.3.4, 5.6.7.8, 127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-host"), Some("a"));
    assert_eq!(request.field("x-forwarded-prefix"), Some("/api"));
    assert_eq!(request.field("x-forwarded-port"), None);
    assert_eq!(request.field("forwarded"), Some("for=9.9.9.9, for=127.0.0.1;host=\"a\";proto=http"));
}

#[tokio::test]
async fn fields_for_one_connection_do_not_travel() {
    let response = "HTTP/1.1 200 Fine\r\nConnection: keep-alive, X-Mine\r\nKeep-Alive: timeout=5\r\nX-Mine: 1\r\n\
        Proxy-Authenticate: Basic\r\nUpgrade: foo\r\nServer: mine\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
        Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok";
    let (address, mut seen) = answering(response).await;
    let bed = Bed::before(address).await;
    let fields = "Connection: keep-alive, X-Hop, host\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\n\
        Proxy-Connection: keep-alive\r\nProxy: http://evil\r\nTE: gzip, trailers\r\nX-End: 1\r\nCookie: a=1";
    let response = bed.call(format!("GET /api HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")).await;
    let request = next(&mut seen).await;
    for gone in ["x-hop", "keep-alive", "proxy-authorization", "proxy-connection", "proxy", "upgrade"] {
        assert_eq!(request.field(gone), None, "{gone}");
    }
    assert_eq!(request.field("te"), Some("trailers"));
    assert_eq!(request.field("connection"), Some("te"));
    assert_eq!(request.field("host"), Some("a"));
    assert_eq!(request.field("x-end"), Some("1"));
    assert_eq!(request.field("cookie"), Some("a=1"));
    assert_eq!(response.first_line(), "HTTP/1.1 200 Fine");
    for gone in ["x-mine", "keep-alive", "proxy-authenticate", "upgrade", "connection"] {
        assert_eq!(response.field(gone), None, "{gone}");
    }
    assert_eq!(response.field("server"), Some("mine"));
    assert_eq!(response.field("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(response.all("set-cookie"), ["a=1", "b=2"]);
}

#[tokio::test]
async fn a_client_of_http_1_0_is_served_and_then_closed() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    let response = client.call("GET /api HTTP/1.0\r\n\r\n").await;
    assert_eq!((response.status(), response.text().as_str()), (200, "ok"));
    assert!(client.is_closed().await);
    let request = next(&mut seen).await;
    assert_eq!(request.first_line(), "GET / HTTP/1.1");
    assert_eq!(request.field("x-forwarded-host"), None);
    assert_eq!(request.field("forwarded"), Some("for=127.0.0.1;proto=http"));
}

#[tokio::test]
async fn responses_without_a_body_keep_their_fields() {
    let (address, _seen) = answering("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: x\r\n\r\n").await;
    let bed = Bed::before(address).await;
    let mut client = bed.connect().await;
    for _ in 0..2 {
        client.send("HEAD /api HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let response = client.head().await.unwrap();
        assert_eq!(response.field("content-length"), Some("1000"));
        assert_eq!(response.field("etag"), Some("x"));
    }
    let (address, _seen) = answering("HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n").await;
    bed.route("old", address);
    for _ in 0..2 {
        client.send("GET /old HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let response = client.head().await.unwrap();
        assert_eq!((response.status(), response.field("etag")), (304, Some("x")));
    }
    // All four in turns: a body that is not there was not waited for.
    assert_eq!(bed.counters.requests(2) + bed.counters.requests(3), 4);
}

#[tokio::test]
async fn a_target_in_absolute_form_is_one_for_this_host() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    bed.call("GET http://a:80/api/x HTTP/1.1\r\nHost: A:80\r\n\r\n").await;
    let request = next(&mut seen).await;
    assert_eq!((request.first_line(), request.field("host")), ("GET /x HTTP/1.1", Some("a:80")));
    let refused = bed.call("GET http://b/api/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((refused.status(), refused.code().as_str()), (400, "bad_request"));
    let refused = bed.call("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n").await;
    assert_eq!((refused.status(), refused.code().as_str()), (405, "method_refused"));
}
