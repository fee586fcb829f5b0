//! Modules of tests.

use serde_json::{Value, json};

use crate::patience::eventually;
use crate::server::Server;

impl Server {
    /// Uploads a module under a name, over HTTP, and returns what the server says about it.
    ///
    /// # Panics
    /// When it is refused.
    pub fn upload(&self, name: &str, wasm: &[u8]) -> Value {
        let reply =
            self.http("POST", &format!("/modules/{name}"), &[("content-type", "application/wasm")], wasm);
        let status = reply.status;
        let body = reply.json();
        assert_eq!(status, 200, "{name} is refused: {body:#}");
        body
    }

    /// Waits until a module is compiled. The server compiles what was uploaded or has run once.
    ///
    /// # Panics
    /// When compiling fails or does not end.
    pub fn until_compiled(&self, name: &str) -> Value {
        eventually("the module is compiled", || {
            let module = self.call("module_get", json!({ "name": name }));
            assert_ne!(module["artifact"]["state"], "failed", "{module:#}");
            (module["artifact"]["state"] == "compiled").then_some(module)
        })
    }
}
