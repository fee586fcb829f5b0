//! Which calls only read.

use serde_json::Value;

/// The methods that change nothing. What is not listed changes something, or shows what is not for everybody: what a session was
/// asked for (`session_request`) may hold secrets in its environment.
const METHODS: [&str; 19] = [
    "health",
    "module_get",
    "module_inspect",
    "module_list",
    "rpc.discover",
    "schedule_list",
    "server_settings",
    "service_get",
    "service_list",
    "service_versions",
    "session_get",
    "session_list",
    "session_logs",
    "session_result",
    "session_wait",
    "stats",
    "stats_history",
    "template_get",
    "template_list",
];

/// Whether a request, or every one of a batch, only reads.
pub(crate) fn only_reads(request: &Value) -> bool {
    match request {
        Value::Array(batch) => batch.iter().all(reads),
        one => reads(one),
    }
}

fn reads(call: &Value) -> bool {
    call["method"].as_str().is_some_and(|method| METHODS.contains(&method))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_method_is_one_of_the_servers() {
        for method in METHODS {
            assert!(api::method::NAMES.contains(&method), "{method}");
        }
    }

    #[test]
    fn what_is_not_known_to_read_wants_the_token() {
        assert!(only_reads(&json!({ "method": "stats" })));
        assert!(
            only_reads(&json!([{ "method": "stats" }, { "method": "session_list" }]))
                && only_reads(&json!([]))
        );
        for changing in [
            json!({ "method": "session_start" }),
            json!({ "method": "session_request" }),
            json!([{ "method": "stats" }, { "method": "session_stop" }]),
            json!([[{ "method": "stats" }]]),
            json!({ "method": "Stats" }),
            json!({ "method": "log_level" }),
            json!({ "method": "new_one" }),
            json!({}),
            json!("stats"),
        ] {
            assert!(!only_reads(&changing), "{changing}");
        }
    }
}
