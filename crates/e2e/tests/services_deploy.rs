//! `service_deploy`: all of a new version, or nothing of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::services::spec;
use e2e::{Server, Setup, Value, eventually, json, places};

fn module(guest: &str) -> String {
    STANDARD.encode(std::fs::read(places::guest(guest)).expect("a guest can be read"))
}

fn deploy(server: &Server, name: &str, spec: Value, guest: Option<&str>) -> Result<Value, Value> {
    let mut request = json!({ "name": name, "spec": spec });
    if let Some(guest) = guest {
        request["module_base64"] = json!(module(guest));
    }
    let mut reply = server.rpc("service_deploy", request);
    match reply.get("error") {
        None => Ok(reply["result"].take()),
        Some(error) => Err(error.clone()),
    }
}

fn text(server: &Server, name: &str) -> Option<String> {
    std::fs::read_to_string(server.services_dir().join(name).join("config/service.json")).ok()
}

/// A server with one service of its own, `hello`.
fn server() -> Server {
    let server = Setup::with_services(&[("hello", spec("hello", json!({ "module": "hello" })))]).start();
    server.until_service("hello", "ready");
    server
}

#[test]
fn a_new_service_is_ready_when_the_call_returns_and_is_there_after_a_restart() {
    let mut server = server();
    let detail =
        deploy(&server, "fresh", spec("fresh", json!({ "memory_limit_mb": 64 })), Some("crashy")).unwrap();
    assert_eq!(detail["service"]["state"], "ready", "{detail:#}");
    assert_eq!(server.text_via("/fresh/hello"), "hello from crashy\n");
    assert_eq!(detail["service"]["module"], "fresh");
    let written: Value = serde_json::from_str(&text(&server, "fresh").unwrap()).unwrap();
    assert_eq!((&written["prefix"], &written["memory_limit_mb"]), (&json!("fresh"), &json!(64)));
    let session = server.service_session("fresh");
    let _ = server.call("service_reload", json!({}));
    assert_eq!(server.service_session("fresh"), session, "the folder says the same");
    assert!(server.stop().success());
    server.start_again();
    server.until_service("fresh", "ready");
    assert_eq!(server.text_via("/fresh/hello"), "hello from crashy\n");
}

#[test]
fn a_newer_version_takes_over_and_stays() {
    let mut server = server();
    let before = server.service_session("hello");
    let spec = spec("hello", json!({ "module": "hello", "env": { "CRASH": "on_request" } }));
    let detail = deploy(&server, "hello", spec, Some("crashy")).unwrap();
    assert_eq!(detail["service"]["state"], "ready");
    assert_ne!(detail["service"]["instances"][0]["session_id"], before);
    assert_eq!(server.text_via("/hello/hello"), "hello from crashy\n");
    eventually("the one of before is gone", || (server.running_of("hello").len() == 1).then_some(()));
    // In the folder lies still what was there before it.
    let _ = server.call("service_reload", json!({}));
    assert_eq!(server.text_via("/hello/hello"), "hello from crashy\n", "a reload keeps it");
    server.kill();
    server.start_again();
    server.until_service("hello", "ready");
    assert_eq!(server.text_via("/hello/hello"), "hello from crashy\n", "a restart keeps it");
}

#[test]
fn nothing_of_a_broken_one_is_kept() {
    let server = server();
    let (session, before) = (server.service_session("hello"), text(&server, "hello"));
    let sick = |prefix: &str| {
        let health = json!({ "start_period_secs": 1, "timeout_ms": 200 });
        spec(prefix, json!({ "health": health, "env": { "CRASH": "never_healthy" } }))
    };
    let mut of_hello = sick("hello");
    of_hello["module"] = json!("hello");
    let rows = [
        ("hello", of_hello, Some("crashy"), "service_failed", "503"),
        ("fresh", sick("fresh"), Some("crashy"), "service_failed", "503"),
        ("fresh", spec("fresh", json!({ "module": "not_there" })), None, "module_not_found", "not_there"),
        ("fresh", spec("hello", json!({ "module": "hello" })), None, "service_invalid", "prefix"),
        (
            "fresh",
            spec("fresh", json!({ "module": "hello", "instances": 0 })),
            None,
            "service_invalid",
            "instances",
        ),
        (
            "fresh",
            spec("f", json!({ "module": "hello", "requires": ["nobody"] })),
            None,
            "service_invalid",
            "nobody",
        ),
        ("Not a name", spec("f", json!({ "module": "hello" })), None, "service_invalid", "name"),
        ("../up", spec("f", json!({ "module": "hello" })), None, "service_invalid", "name"),
    ];
    for (name, spec, guest, code, why) in rows {
        let error = deploy(&server, name, spec, guest).unwrap_err();
        assert_eq!(error["data"]["code_name"], code, "{error:#}");
        assert!(error["message"].as_str().unwrap().contains(why), "{error:#}");
        if name != "hello" {
            assert!(!server.services_dir().join(name).exists(), "{name} left something");
        }
    }
    let bad = json!({ "name": "fresh", "spec": spec("fresh", json!({})), "module_base64": STANDARD.encode("no module") });
    assert_eq!(server.refusal_name("service_deploy", bad), "module_invalid");
    let bad = json!({ "name": "fresh", "spec": spec("fresh", json!({})), "module_base64": "!" });
    assert_eq!(server.refusal_name("service_deploy", bad), "invalid_params");

    assert_eq!(server.refusal_name("service_get", json!({ "name": "fresh" })), "service_not_found");
    assert_eq!(server.via("/fresh/hello").status, 404);
    assert!(server.running_of("fresh").is_empty() && server.problems().is_empty());
    assert_eq!((server.service_session("hello"), text(&server, "hello")), (session, before));
    assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    assert_eq!(server.running_of("hello").len(), 1);
    let names = server.call("module_list", json!({}))["modules"].clone();
    let names: Vec<_> =
        names.as_array().unwrap().iter().filter_map(|module| module["name"].as_str()).collect();
    assert!(!names.contains(&"fresh"), "{names:?}");
}

#[test]
fn one_that_had_failed_or_was_stopped_is_held_to_the_same() {
    let crashy = |crash: &str| {
        let health = json!({ "start_period_secs": 1, "timeout_ms": 200 });
        let restart = json!({ "intensity": 0 });
        spec(
            "crashy",
            json!({ "module": "crashy", "env": { "CRASH": crash }, "health": health, "restart": restart }),
        )
    };
    let server = Setup::with_services(&[("crashy", crashy("at_once"))]).start();
    server.until_service("crashy", "failed");
    let before = text(&server, "crashy");
    let error = deploy(&server, "crashy", crashy("never_healthy"), None).unwrap_err();
    assert_eq!(error["data"]["code_name"], "service_failed", "{error:#}");
    assert_eq!(text(&server, "crashy"), before);
    let detail = deploy(&server, "crashy", crashy("on_request"), None).unwrap();
    assert_eq!(detail["service"]["state"], "ready", "{detail:#}");
    assert_eq!(server.text_via("/crashy/hello"), "hello from crashy\n");
    server.order("service_stop", "crashy");
    let detail = deploy(&server, "crashy", crashy(""), None).unwrap();
    assert_eq!(detail["service"]["state"], "ready", "{detail:#}");
}

#[test]
fn what_cannot_be_kept_is_not_started_either() {
    let server = server();
    let (session, before) = (server.service_session("hello"), text(&server, "hello"));
    // Where its folder would be lies a file.
    std::fs::write(server.services_dir().join("fresh"), "in the way").unwrap();
    let error = deploy(&server, "fresh", spec("fresh", json!({})), Some("crashy")).unwrap_err();
    assert!(error["message"].as_str().unwrap().contains("fresh"), "{error:#}");
    assert_eq!(server.refusal_name("service_get", json!({ "name": "fresh" })), "service_not_found");
    assert_eq!(server.via("/fresh/hello").status, 404);
    assert!(server.running_of("fresh").is_empty());
    assert_eq!((server.service_session("hello"), text(&server, "hello")), (session, before));
}

#[test]
fn a_module_that_cannot_have_its_name_changes_nothing() {
    let server = server();
    let (session, before) = (server.service_session("hello"), text(&server, "hello"));
    for module in ["Not a name", "sha256:0000000000000000000000000000000000000000000000000000000000000000"] {
        let error =
            deploy(&server, "hello", spec("hello", json!({ "module": module })), Some("crashy")).unwrap_err();
        assert_eq!(error["data"]["code_name"], "name_invalid", "{error:#}");
        assert_eq!(
            (server.service_session("hello"), text(&server, "hello")),
            (session.clone(), before.clone())
        );
        assert_eq!(server.text_via("/hello/hello"), "hello, world\n");
    }
}

#[test]
fn one_that_ends_at_once_is_told_without_waiting_for_all_its_tries() {
    let server = server();
    let spec = spec("fresh", json!({ "module": "fresh", "health": { "start_period_secs": 3600 } }));
    let error = deploy(&server, "fresh", spec, Some("faulty_exit7")).unwrap_err();
    assert_eq!(error["data"]["code_name"], "service_failed", "{error:#}");
    assert!(error["message"].as_str().unwrap().contains("exited with code 7"), "{error:#}");
    let tries = server.call("session_list", json!({ "label": "service=fresh" }))["sessions"].clone();
    assert_eq!(tries.as_array().map(Vec::len), Some(1), "one end of a new version says it all");
}
