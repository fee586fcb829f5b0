//! JSON-RPC, every reply held to the contract.

use serde_json::{Value, json};

use crate::contract;
use crate::patience::patience;
use crate::server::Server;

impl Server {
    /// Calls a method and returns the whole reply, which is as `openrpc.json` says.
    ///
    /// # Panics
    /// When there is no reply, or it breaks the contract.
    #[must_use]
    pub fn rpc(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": "e2e", "method": method, "params": params });
        let reply = self.post(&request.to_string());
        assert_eq!(reply["id"], "e2e", "{reply:#}");
        contract::hold(method, &reply);
        reply
    }

    /// Posts a body to `/rpc` and returns what comes back, whatever it is.
    ///
    /// # Panics
    /// When the reply is not JSON with status 200.
    #[must_use]
    pub fn post(&self, body: &str) -> Value {
        let reply = self.http("POST", "/rpc", &[("content-type", "application/json")], body.as_bytes());
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        reply.json()
    }

    /// Calls a method that is to succeed and returns its result.
    ///
    /// # Panics
    /// When it is refused, or breaks the contract.
    #[must_use]
    pub fn call(&self, method: &str, params: Value) -> Value {
        let mut reply = self.rpc(method, params.clone());
        assert!(reply.get("error").is_none(), "{method} {params} is refused: {:#}", reply["error"]);
        reply["result"].take()
    }

    /// Calls a method that is to be refused and returns the error.
    ///
    /// # Panics
    /// When it succeeds, or breaks the contract.
    #[must_use]
    pub fn refusal(&self, method: &str, params: Value) -> Value {
        let mut reply = self.rpc(method, params.clone());
        assert!(reply.get("error").is_some(), "{method} {params} succeeds: {:#}", reply["result"]);
        reply["error"].take()
    }

    /// The stable name of the error with which a call is refused.
    ///
    /// # Panics
    /// When it succeeds, or breaks the contract.
    #[must_use]
    pub fn refusal_name(&self, method: &str, params: Value) -> String {
        self.refusal(method, params)["data"]["code_name"].as_str().unwrap_or_default().to_owned()
    }

    /// Starts a session and returns its id.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn session(&self, request: Value) -> String {
        self.call("session_start", request)["session_id"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits for the end of a session and returns its result.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn wait(&self, session_id: &str) -> Value {
        let wait_ms = u64::try_from(patience().as_millis()).unwrap_or(u64::MAX);
        let result = self.call("session_wait", json!({ "session_id": session_id, "wait_ms": wait_ms }));
        assert!(!result.is_null(), "{session_id} does not end: {:#}", self.info(session_id));
        result
    }

    /// Runs a session to its end and returns its result.
    ///
    /// # Panics
    /// When it is refused or does not end.
    #[must_use]
    pub fn run(&self, request: Value) -> Value {
        self.wait(&self.session(request))
    }

    /// What `session_get` shows.
    ///
    /// # Panics
    /// When there is no such session.
    #[must_use]
    pub fn info(&self, session_id: &str) -> Value {
        self.call("session_get", json!({ "session_id": session_id }))
    }

    /// The first page of a session's log, up to 10,000 lines.
    ///
    /// # Panics
    /// When there is no such session.
    #[must_use]
    pub fn lines(&self, session_id: &str) -> Vec<Value> {
        let mut page = self.call("session_logs", json!({ "session_id": session_id, "limit": 10_000 }));
        serde_json::from_value(page["lines"].take()).unwrap_or_default()
    }

    /// What `stats` shows.
    ///
    /// # Panics
    /// When there is no reply.
    #[must_use]
    pub fn stats(&self) -> Value {
        self.call("stats", json!({}))
    }
}
