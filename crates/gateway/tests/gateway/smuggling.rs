//! Requests that could be read in two ways: refused, closed, and never seen by a service.

use crate::setup::{Bed, get, next, ok};

/// Sends bytes behind a request that is fine, as one piece or byte by byte, and expects them to be refused.
async fn refused(bed: &Bed, bytes: &str) {
    for slowly in [false, true] {
        let mut client = bed.connect().await;
        let all = format!("{}{bytes}{}", get("/api/fine"), get("/api/smuggled"));
        if slowly {
            for byte in all.as_bytes() {
                client.try_send([*byte]).await;
                tokio::task::yield_now().await;
            }
        } else {
            client.send(&all).await;
        }
        assert_eq!(client.message().await.expect("an answer").status(), 200, "{bytes:?}");
        let answer = client.message().await.expect("another answer");
        assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"), "{bytes:?}");
        assert_eq!(answer.field("connection"), Some("close"), "{bytes:?}");
        assert!(client.is_closed().await, "{bytes:?}");
    }
}

async fn check(requests: &[&str]) {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    for bytes in requests {
        refused(&bed, bytes).await;
        for _ in 0..2 {
            assert_eq!(next(&mut seen).await.first_line(), "GET /fine HTTP/1.1");
        }
        assert!(seen.try_recv().is_err(), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_body_has_one_length() {
    check(&[
        "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
        "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        "POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        "POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /api HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ])
    .await;
}

#[tokio::test]
async fn a_request_has_one_host() {
    check(&[
        "GET /api HTTP/1.1\r\n\r\n",
        "GET /api HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /api HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /api HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /api HTTP/1.1\r\nHost: x@a\r\n\r\n",
        "GET http://b/api HTTP/1.1\r\nHost: a\r\n\r\n",
    ])
    .await;
}

#[tokio::test]
async fn lines_end_in_one_way() {
    check(&[
        "GET /api HTTP/1.1\nHost: a\n\n",
        "GET /api HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET /api HTTP/1.1\r\nHost: a\r\n\n",
        "GET /api HTTP/1.1\rHost: a\r\r",
        "GET /api HTTP/1.1\r\nHost: a\r\nX: y\rContent-Length: 5\r\n\r\n",
        "GET /api HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        "GET /api HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET /api HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
        "GET /api HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n",
        "GET /api HTTP/1.1\r\nHost: a\r\nX: \0y\r\n\r\n",
        "GET /api HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET /api\r\n",
        "GET /api HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET  /api HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /api#x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /api/<x> HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET api HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http:///api HTTP/1.1\r\nHost: a\r\n\r\n",
        "! * HTTP/1.1\r\nHost: a\r\n\r\n",
    ])
    .await;
}

#[tokio::test]
async fn chunks_are_framed_in_one_way() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n",
        "5 ;x\r\nhello\r\n0\r\n\r\n",
        "5;x\nhello\r\n0\r\n\r\n",
        "0\r\nx\r\n\r\n",
        "0\r\n\n",
    ] {
        let mut client = bed.connect().await;
        let head = "POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}{body}{}", get("/api/smuggled"))).await;
        let answer = client.message().await.expect("an answer");
        assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"), "{body:?}");
        assert!(client.is_closed().await, "{body:?}");
        assert!(seen.try_recv().is_err(), "no request came to its end: {body:?}");
    }
}

#[tokio::test]
async fn what_an_upstream_sees_is_one_clean_request() {
    let (address, mut seen) = ok().await;
    let bed = Bed::before(address).await;
    let head = "POST /api/x HTTP/1.1\r\nhOsT:   a\t\r\nTRANSFER-encoding: Chunked\r\nX-Odd:\t y \r\n\r\n";
    bed.call(format!("{head}3;ext=1\r\nabc\r\n00\r\n\r\n")).await;
    let request = next(&mut seen).await;
    assert_eq!(request.first_line(), "POST /x HTTP/1.1");
    assert_eq!(request.field("host"), Some("a"));
    assert_eq!(request.field("transfer-encoding"), Some("chunked"));
    assert_eq!(request.field("content-length"), None);
    assert_eq!(request.field("x-odd"), Some("y"));
    assert_eq!(request.text(), "3\r\nabc\r\n0\r\n\r\n");
}
