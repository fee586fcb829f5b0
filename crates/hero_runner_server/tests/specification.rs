//! The examples of the JSON-RPC 2.0 specification (section 7), and what it leaves to find out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use api::Method;
use api::method::NoParams;
use hero_runner_server::envelope::{Limits, answer};
use hero_runner_server::methods::Methods;
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Operands {
    minuend: i64,
    subtrahend: i64,
}

macro_rules! method {
    ($ty:ident, $name:literal, $params:ty => $reply:ty) => {
        struct $ty;
        impl Method for $ty {
            const NAME: &'static str = $name;
            const SUMMARY: &'static str = "";
            const ERRORS: &'static [api::ErrorCode] = &[];
            type Params = $params;
            type Reply = $reply;
        }
    };
}

method!(Subtract, "subtract", Operands => i64);
method!(Sum, "sum", Vec<i64> => i64);
method!(GetData, "get_data", NoParams => Value);
method!(Update, "update", Vec<i64> => ());
method!(NotifyHello, "notify_hello", Vec<i64> => ());
method!(NotifySum, "notify_sum", Vec<i64> => ());

fn methods() -> Methods {
    let mut methods = Methods::default();
    methods.on::<Subtract, _, _>(|operands| async move { Ok(operands.minuend - operands.subtrahend) });
    methods.on::<Sum, _, _>(|numbers| async move { Ok(numbers.iter().sum()) });
    methods.on::<GetData, _, _>(|_| async { Ok(json!(["hello", 5])) });
    methods.on::<Update, _, _>(|_| async { Ok(()) });
    methods.on::<NotifyHello, _, _>(|_| async { Ok(()) });
    methods.on::<NotifySum, _, _>(|_| async { Ok(()) });
    methods
}

const LIMITS: Limits = Limits { batch: 10, batch_reply_bytes: 2000 };

fn raw(body: &[u8]) -> Option<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(answer(&methods(), LIMITS, body))
}

/// The reply, with every error cut down to what the specification fixes.
fn ask(body: &str) -> Option<Value> {
    let mut reply: Value = serde_json::from_slice(&raw(body.as_bytes())?).unwrap();
    let cut = |one: &mut Value| {
        if let Some(error) = one.get_mut("error") {
            assert!(error["message"].is_string() && error["data"]["hint"].is_string(), "{error}");
            *error = json!({ "code": error["code"] });
        }
    };
    match &mut reply {
        Value::Array(list) => list.iter_mut().for_each(cut),
        one => cut(one),
    }
    Some(reply)
}

fn failed(code: i32, id: Value) -> Value {
    json!({"jsonrpc": "2.0", "error": {"code": code}, "id": id})
}

#[test]
fn positional_parameters() {
    let reply = ask(r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#);
    assert_eq!(reply, Some(json!({"jsonrpc": "2.0", "result": 19, "id": 1})));
    let reply = ask(r#"{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}"#);
    assert_eq!(reply, Some(json!({"jsonrpc": "2.0", "result": -19, "id": 2})));
}

#[test]
fn named_parameters() {
    let reply = ask(
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#,
    );
    assert_eq!(reply, Some(json!({"jsonrpc": "2.0", "result": 19, "id": 3})));
    let reply = ask(
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}"#,
    );
    assert_eq!(reply, Some(json!({"jsonrpc": "2.0", "result": 19, "id": 4})));
}

#[test]
fn notifications() {
    assert_eq!(ask(r#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#), None);
    assert_eq!(ask(r#"{"jsonrpc": "2.0", "method": "foobar"}"#), None);
}

#[test]
fn a_method_that_does_not_exist() {
    let reply = ask(r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#);
    assert_eq!(reply, Some(failed(-32601, json!("1"))));
}

#[test]
fn invalid_json() {
    let reply = ask(r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#);
    assert_eq!(reply, Some(failed(-32700, Value::Null)));
}

#[test]
fn an_invalid_request() {
    let reply = ask(r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#);
    assert_eq!(reply, Some(failed(-32600, Value::Null)));
}

#[test]
fn a_batch_of_invalid_json() {
    let reply = ask(r#"[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method"
    ]"#);
    assert_eq!(reply, Some(failed(-32700, Value::Null)));
}

#[test]
fn an_empty_batch() {
    assert_eq!(ask("[]"), Some(failed(-32600, Value::Null)));
}

#[test]
fn invalid_batches() {
    assert_eq!(ask("[1]"), Some(json!([failed(-32600, Value::Null)])));
    let one = failed(-32600, Value::Null);
    assert_eq!(ask("[1,2,3]"), Some(json!([one, one, one])));
}

#[test]
fn a_mixed_batch() {
    let reply = ask(r#"[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
    ]"#);
    let expected = json!([
        {"jsonrpc": "2.0", "result": 7, "id": "1"},
        {"jsonrpc": "2.0", "result": 19, "id": "2"},
        failed(-32600, Value::Null),
        failed(-32601, json!("5")),
        {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"},
    ]);
    assert_eq!(reply, Some(expected));
}

#[test]
fn a_batch_of_notifications() {
    let reply = ask(r#"[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
    ]"#);
    assert_eq!(reply, None);
}

#[test]
fn an_id_comes_back_as_it_was_written() {
    for id in
        ["-1", "1.5", "1.0", "1e3", "null", "0", "123456789012345678901234567890", r#""""#, r#""a\"\u0062""#]
    {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"get_data","id":{id}}}"#);
        let reply = String::from_utf8(raw(body.as_bytes()).unwrap()).unwrap();
        assert_eq!(reply, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":["hello",5]}}"#));
    }
    for id in ["{}", "[]", "true", "[1]"] {
        let reply = ask(&format!(r#"{{"jsonrpc":"2.0","method":"get_data","id":{id}}}"#));
        assert_eq!(reply, Some(failed(-32600, Value::Null)), "{id}");
    }
}

#[test]
fn an_invalid_request_keeps_an_id_that_is_valid() {
    for body in [
        r#"{"jsonrpc":"1.0","method":"get_data","id":7}"#,
        r#"{"method":"get_data","id":7}"#,
        r#"{"jsonrpc":"2.0","id":7}"#,
        r#"{"jsonrpc":"2.0","method":"get_data","params":"x","id":7}"#,
        r#"{"jsonrpc":"2.0","method":null,"id":7}"#,
    ] {
        assert_eq!(ask(body), Some(failed(-32600, json!(7))), "{body}");
    }
    // Two ids are none.
    let reply = ask(r#"{"jsonrpc":"2.0","method":"get_data","id":7,"id":8}"#);
    assert_eq!(reply, Some(failed(-32600, Value::Null)));
    // An array is no request, even where its elements would fit the fields.
    let reply = ask(r#"[["2.0","get_data",[],1]]"#);
    assert_eq!(reply, Some(json!([failed(-32600, Value::Null)])));
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    for params in ["[1]", "[1,2,3]", r#"{"minuend":1}"#, r#"["a","b"]"#, "[]", "{}", "null"] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"subtract","params":{params},"id":1}}"#);
        let reply: Value = serde_json::from_slice(&raw(body.as_bytes()).unwrap()).unwrap();
        assert_eq!(reply["error"]["code"], -32602, "{params}");
        assert_eq!(reply["error"]["data"]["code_name"], "invalid_params");
        assert!(reply["error"]["message"].as_str().unwrap().contains("subtract"));
    }
    let body = r#"{"jsonrpc":"2.0","method":"subtract","params":{"minuend":1},"id":1}"#;
    assert!(String::from_utf8(raw(body.as_bytes()).unwrap()).unwrap().contains("subtrahend"));
}

#[test]
fn what_is_no_json_is_a_parse_error() {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","method":"get_data","params":{}{},"id":1}}"#,
        "[".repeat(1000),
        "]".repeat(1000)
    );
    for body in [
        "",
        " ",
        "{",
        "[",
        "[1,]",
        "nul",
        "'a'",
        "{}x",
        "[1]]",
        "{\"a\":1,}",
        "\u{feff}{}",
        "{\"jsonrpc\":1,\"method\":",
        "{\"a\":\"\n\"}",
        "[1 000]",
        "[-]",
        "[01]",
        "{a:1}",
        "[\"\\x\"]",
        deep.as_str(),
        &"[".repeat(100_000),
        &"[{\"a\":".repeat(50_000),
    ] {
        let shown = &body[..body.len().min(60)];
        assert_eq!(ask(body), Some(failed(-32700, Value::Null)), "{shown}");
    }
    for body in [
        &b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\",\"id\":1}"[..],
        b"[\"\xe2\x82\"]",
        b"\0",
        b"\x1f\x8b\x08",
    ] {
        let reply: Value = serde_json::from_slice(&raw(body).unwrap()).unwrap();
        assert_eq!(reply["error"]["code"], -32700);
    }
    for body in ["1", "\"x\"", "null", "true", "1.5e300"] {
        assert_eq!(ask(body), Some(failed(-32600, Value::Null)), "{body}");
    }
}

#[test]
fn brackets_in_strings_are_no_depth() {
    let text = "[{\\\"".repeat(500);
    let body = format!(r#"{{"jsonrpc":"2.0","method":"foobar","params":["{text}"],"id":1}}"#);
    assert_eq!(ask(&body), Some(failed(-32601, json!(1))));
    let shallow =
        format!(r#"{{"jsonrpc":"2.0","method":"foobar","params":[{}1],"id":1}}"#, "[],".repeat(500));
    assert_eq!(ask(&shallow), Some(failed(-32601, json!(1))));
}

#[test]
fn a_batch_has_limits() {
    let one = r#"{"jsonrpc":"2.0","method":"get_data","id":1}"#;
    let batch = |count: usize| format!("[{}]", vec![one; count].join(","));
    assert_eq!(ask(&batch(10)).unwrap().as_array().unwrap().len(), 10);
    for count in [11, 10_000] {
        let reply = raw(batch(count).as_bytes()).unwrap();
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!(reply["error"]["code"], -32600);
        assert_eq!(
            reply["error"]["message"],
            format!("invalid request: the batch has {count} requests, batch_max is 10")
        );
    }
    // A batch that is too long and broken is broken.
    assert_eq!(ask(&batch(20).replace("]", ",]").replace(",]", ",")), Some(failed(-32700, Value::Null)));

    // Replies of more than 2000 bytes: what follows is refused, a notification in silence.
    let long = format!(r#"{{"jsonrpc":"2.0","method":"foobar","id":"{}"}}"#, "x".repeat(1500));
    let note = r#"{"jsonrpc":"2.0","method":"update","params":[1]}"#;
    let reply = ask(&format!("[{long},{long},{note},{one}]")).unwrap();
    assert_eq!(reply.as_array().unwrap().len(), 3);
    assert_eq!(reply[2], failed(-33007, json!(1)));
}

proptest! {
    #[test]
    fn any_bytes_are_answered_with_json_or_nothing(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Some(reply) = raw(&body) {
            serde_json::from_slice::<Value>(&reply).unwrap();
        }
    }

    #[test]
    fn any_damage_to_a_batch_is_answered_with_json_or_nothing(
        at in 0_usize..150, byte in any::<u8>(), cut in 0_usize..150,
    ) {
        let mut body = br#"[{"jsonrpc":"2.0","method":"sum","params":[1,2,4],"id":"1"},{"jsonrpc":"2.0","method":"get_data","id":-2.5e3},{"jsonrpc":"2.0","method":"update"}]"#.to_vec();
        body.truncate(150.max(cut));
        let at = at % body.len();
        body[at] = byte;
        if let Some(reply) = raw(&body) {
            serde_json::from_slice::<Value>(&reply).unwrap();
        }
    }
}
