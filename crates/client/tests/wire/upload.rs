use api::ErrorCode;
use serde_json::json;

use crate::fake::{json as reply, serve};

fn detail(name: &str, size: usize) -> serde_json::Value {
    json!({
        "name": name, "digest": "sha256:00", "kind": "core", "size": size, "created_at": 1,
        "artifact": { "state": "interpreted" }, "imports": [], "exports": [],
    })
}

#[tokio::test]
async fn a_file_arrives_whole_with_its_digest_and_length() {
    let fake = serve(false, |request, _| {
        assert_eq!(request.uri(), "/modules/my-tool.v1");
        assert_eq!(request.headers()["x-sha256"], "ab");
        assert_eq!(request.headers()["content-length"], request.body().len().to_string());
        assert!(request.body().iter().enumerate().all(|(at, byte)| *byte == at as u8));
        reply(200, &detail("my-tool.v1", request.body().len()))
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.wasm");
    let bytes: Vec<u8> = (0..3_000_001).map(|at: usize| at as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    let stored = fake.client().upload_file(Some("my-tool.v1"), Some("ab"), &path).await.unwrap();
    assert_eq!(stored.info.size, 3_000_001);
}

#[tokio::test]
async fn a_name_cannot_leave_its_segment() {
    let fake = serve(false, |request, _| {
        assert_eq!(request.uri(), "/modules/a%2F..%2Fb%20%3Fc");
        reply(200, &detail("x", 0))
    });
    fake.client().upload(Some("a/../b ?c"), None, None, &b"x"[..]).await.unwrap();
}

#[tokio::test]
async fn without_a_name_it_is_stored_by_content_and_a_refusal_is_understood() {
    let fake = serve(false, |request, _| {
        assert_eq!(request.uri(), "/modules");
        let code = ErrorCode::ModuleInvalid;
        reply(422, &json!({ "code": code.code(), "message": "no magic", "data": api::ErrorData::from(code) }))
    });
    let error = fake.client().upload(None, None, None, &b"not wasm"[..]).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ModuleInvalid));
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let fake = serve(false, |_, _| reply(200, &json!(null)));
    let error = fake.client().upload_file(None, None, "/missing/m.wasm".as_ref()).await.unwrap_err();
    assert!(error.to_string().contains("/missing/m.wasm"), "{error}");
}
