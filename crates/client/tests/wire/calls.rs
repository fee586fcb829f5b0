use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::session::{SessionRef, SessionStart};
use api::{ErrorCode, method};
use client::Error;
use serde_json::json;

use crate::fake::{self, rpc, serve};

fn start() -> SessionStart {
    SessionStart { module: Some("hello".into()), ..SessionStart::default() }
}

#[tokio::test]
async fn a_call_carries_its_method_and_parameters_and_reuses_its_connection() {
    let fake = serve(false, |request, _| {
        assert_eq!(request.uri(), "/rpc");
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body["method"], "session_start");
        assert_eq!(body["params"]["module"], "hello");
        rpc("result", json!({ "session_id": "ses-1" }))
    });
    let client = fake.client();
    for _ in 0..5 {
        let reply = client.call::<method::SessionStartMethod>(start()).await.unwrap();
        assert_eq!(reply.session_id, "ses-1");
    }
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn a_null_result_is_none_where_the_reply_may_be() {
    let fake = serve(false, |_, _| rpc("result", serde_json::Value::Null));
    let client = fake.client();
    let id = SessionRef { session_id: "ses-1".into() };
    assert_eq!(client.call::<method::SessionResultMethod>(id.clone()).await.unwrap(), None);
    let error = client.call::<method::SessionGetMethod>(id).await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
}

#[tokio::test]
async fn a_refusal_has_its_code_and_hint() {
    let fake = serve(false, |_, _| {
        let code = ErrorCode::ModuleNotFound;
        rpc(
            "error",
            json!({ "code": code.code(), "message": "no module is named `hello`", "data": api::ErrorData::from(code) }),
        )
    });
    let error = fake.client().call::<method::SessionStartMethod>(start()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ModuleNotFound));
    assert_eq!(error.summary(), "no module is named `hello`");
    assert_eq!(error.hint(), Some(ErrorCode::ModuleNotFound.hint()));
}

#[tokio::test]
async fn an_answer_of_another_program_is_named() {
    let fake = serve(false, |_, _| fake::json(418, &json!("I'm a teapot")));
    let error = fake.client().health().await.unwrap_err();
    assert!(error.to_string().contains("418") && error.to_string().contains("teapot"), "{error}");
}

#[tokio::test]
async fn nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let missing = client::Client::new(dir.path().join("missing.sock"));
    assert!(matches!(missing.health().await, Err(Error::NotRunning { .. })));
    let stale = dir.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let error = client::Client::new(&stale).health().await.unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error}");
    assert!(error.to_string().contains("hero_runner --start"), "{error}");
}

#[tokio::test]
async fn a_connection_that_went_stale_is_replaced() {
    let fake = serve(true, |_, _| rpc("result", json!({ "session_id": "ses-1" })));
    let client = fake.client();
    for _ in 0..3 {
        client.call::<method::SessionStartMethod>(start()).await.unwrap();
        // Let the server hang up while the connection is idle.
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert_eq!(fake.connections(), 3);
}

#[tokio::test]
async fn a_call_that_may_have_arrived_is_never_sent_twice() {
    // A server that reads the second request of each connection and hangs up without an answer.
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("rpc.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let bodies = Arc::new(AtomicUsize::new(0));
    let seen = bodies.clone();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 4096];
            for number in 0..2 {
                if stream.read(&mut buffer).await.unwrap() == 0 {
                    break;
                }
                seen.fetch_add(1, Ordering::SeqCst);
                if number == 0 {
                    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"session_id":"ses-1"}}"#;
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(head.as_bytes()).await.unwrap();
                }
            }
        }
    });
    let client = client::Client::new(&socket);
    client.call::<method::SessionStartMethod>(start()).await.unwrap();
    let error = client.call::<method::SessionStartMethod>(start()).await.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bodies.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn many_at_once_do_not_wait_for_each_other() {
    let fake = serve(false, |_, _| rpc("result", json!({ "session_id": "ses-1" })));
    let client = fake.client();
    let calls = (0..50).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.call::<method::SessionStartMethod>(start()).await.map(drop) })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_kernel_tells_who_listens() {
    let fake = serve(false, |_, _| rpc("result", json!(null)));
    let peer = fake.client().peer().await.unwrap();
    assert_eq!(peer.pid, Some(std::process::id()));
}
