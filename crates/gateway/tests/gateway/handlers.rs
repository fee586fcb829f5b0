//! Targets that answer inside of the process, that refuse, or that have to wait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::{Admission, Backend, Body, BoxFuture, Call, Refusal, Respond, Settings, Target};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::{mpsc, oneshot};

use crate::setup::{Bed, settings};
use crate::wire::within;

/// A target that says what a closure says.
struct Says<F>(F);

impl<F: Fn() -> Admission + Send + Sync + 'static> Target for Says<F> {
    fn name(&self) -> &str {
        "says"
    }

    fn admit(&self) -> Admission {
        (self.0)()
    }
}

/// Repeats what it was asked.
struct Echo;

impl Respond for Echo {
    fn respond(&self, call: Call) -> BoxFuture<'static, Result<Response<Body>, Refusal>> {
        Box::pin(async move {
            let about = format!(
                "{} {} | {} | {} | {} | ",
                call.request.method(),
                call.request.uri(),
                call.prefix,
                call.rest,
                call.request.headers()["x-forwarded-prefix"].to_str().unwrap_or_default(),
            );
            assert!(call.peer.is_some() && !call.https);
            assert!(!call.request.headers().contains_key("connection"));
            let body = call.request.into_body().collect().await;
            let body = body.map_err(|error| Refusal {
                status: StatusCode::IM_A_TEAPOT,
                reason: error.to_string(),
                retry_after: None,
            })?;
            let body = [about.as_bytes(), &body.to_bytes()].concat();
            let mut response = Response::new(Body::full(body));
            response.headers_mut().insert("connection", http::HeaderValue::from_static("x-gone"));
            response.headers_mut().insert("x-gone", http::HeaderValue::from_static("1"));
            Ok(response)
        })
    }
}

fn handler(respond: impl Respond) -> Arc<dyn Target> {
    let respond: Arc<dyn Respond> = Arc::new(respond);
    Arc::new(Says(move || Admission::Now(Ok(Backend::Handler(respond.clone())))))
}

#[tokio::test]
async fn a_handler_sees_the_request_and_its_place() {
    let bed = Bed::with(Settings { max_body_bytes: 10, ..settings() }).await;
    bed.routes.set("fn/echo", handler(Echo));
    let mut client = bed.connect().await;
    let fields = "Connection: keep-alive\r\nContent-Length: 5";
    let response =
        client.call(format!("POST /fn/echo/a/b?c=d HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\nhello")).await;
    assert_eq!(response.text(), "POST /fn/echo/a/b?c=d | fn/echo | /a/b | /fn/echo | hello");
    assert_eq!((response.field("connection"), response.field("x-gone")), (None, None));
    let response = client.call("GET /fn/echo HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(response.text(), "GET /fn/echo | fn/echo | / | /fn/echo | ");
    // The gateway's own answer, whatever the handler makes of it.
    let chunks = "Transfer-Encoding: chunked\r\n\r\n6\r\nhello,\r\n6\r\n world\r\n0\r\n\r\n";
    let response = client.call(format!("POST /fn/echo HTTP/1.1\r\nHost: a\r\n{chunks}")).await;
    assert_eq!(response.code(), "body_too_large");
}

/// Answers with what comes out of a channel.
struct Stream(Mutex<Option<mpsc::Receiver<&'static str>>>);

impl Respond for Stream {
    fn respond(&self, _call: Call) -> BoxFuture<'static, Result<Response<Body>, Refusal>> {
        let pieces = self.0.lock().expect("a lock").take().expect("one call");
        let stream = futures_util::stream::unfold(pieces, |mut pieces| async {
            let piece = pieces.recv().await?;
            Some((Ok::<_, std::io::Error>(Frame::data(bytes::Bytes::from(piece))), pieces))
        });
        let body = Body::new(StreamBody::new(Box::pin(stream)));
        Box::pin(std::future::ready(Ok(Response::new(body))))
    }
}

#[tokio::test]
async fn a_handler_may_answer_piece_by_piece() {
    let bed = Bed::new().await;
    let (pieces, receiver) = mpsc::channel(1);
    bed.routes.set("stream", handler(Stream(Mutex::new(Some(receiver)))));
    let mut client = bed.connect().await;
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status(), 200);
    for piece in ["one", "two"] {
        within(pieces.send(piece)).await.unwrap();
        assert_eq!(client.until(b"\r\n").await.unwrap(), b"3\r\n");
        assert_eq!(client.exactly(5).await.unwrap(), format!("{piece}\r\n").as_bytes());
    }
    drop(client);
    within(pieces.closed()).await;
}

#[tokio::test]
async fn a_refusal_is_the_clients_answer() {
    let bed = Bed::new().await;
    for (status, code, wait, shown) in [
        (503, "service_unavailable", Some(Duration::from_millis(1500)), Some("2")),
        (429, "too_many_requests", Some(Duration::from_secs(3)), Some("3")),
        (403, "refused", None, None),
        (418, "request_refused", None, None),
        (500, "service_error", None, None),
    ] {
        let refuse = move || Refusal {
            status: StatusCode::from_u16(status).expect("a status"),
            reason: "it <sleeps>".to_owned(),
            retry_after: wait,
        };
        bed.routes.set("says", Arc::new(Says(move || Admission::Now(Err(refuse())))));
        let answer = bed.get("/says").await;
        assert_eq!((answer.status(), answer.code().as_str()), (status, code));
        assert_eq!(answer.field("retry-after"), shown);
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (&json["error"]["service"], &json["error"]["message"]),
            (&"says".into(), &"it <sleeps>".into())
        );
        let page = bed.call("GET /says HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n").await.text();
        assert!(page.contains("it &lt;sleeps&gt;") && page.contains(code), "{page}");
    }
}

#[tokio::test]
async fn a_request_waits_for_its_service_and_one_that_goes_away_does_not() {
    let bed = Bed::new().await;
    let (asked, mut asks) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    let target = Says(move || {
        let (go, gone) = oneshot::channel();
        let _ = asked.send(go);
        Admission::Later(Box::pin(async move {
            let _ = gone.await;
            let respond: Arc<dyn Respond> = Arc::new(Echo);
            Ok(Backend::Handler(respond))
        }))
    });
    bed.routes.set("late", Arc::new(target));
    let mut client = bed.connect().await;
    client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n").await;
    within(asks.recv()).await.unwrap().send(()).unwrap();
    assert_eq!(client.message().await.unwrap().status(), 200);

    client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut go = within(asks.recv()).await.unwrap();
    drop(client);
    within(go.closed()).await;
}
