//! A server that was built without its second engine (`--no-default-features`).

use e2e::{Setup, json};

#[test]
fn core_modules_run_and_components_are_refused_with_the_reason() {
    let server = Setup::new().server("hero_runner_server_plain").start();
    assert_eq!(server.run(json!({ "module": "hello" }))["stdout"], "hello, world\n");
    for request in
        [json!({ "module": "launch_component" }), json!({ "module": "hello", "engine": "wasmtime" })]
    {
        let error = server.refusal("session_start", request);
        assert_eq!(error["data"]["code_name"], "module_unsupported", "{error:#}");
        assert!(error["message"].as_str().unwrap().contains("built without Wasmtime"), "{error:#}");
    }
}
