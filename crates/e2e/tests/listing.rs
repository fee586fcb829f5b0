//! `session_list`: filters, labels, pages.

use std::collections::BTreeSet;

use e2e::{Server, Setup, Value, json};

fn ids(page: &Value) -> Vec<String> {
    let sessions = page["sessions"].as_array().expect("a page has sessions");
    sessions.iter().map(|session| session["session_id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Every page of a list, and how many there were.
fn pages(server: &Server, request: &Value) -> (Vec<String>, usize) {
    let (mut all, mut count, mut cursor) = (Vec::new(), 0, Value::Null);
    loop {
        let mut request = request.clone();
        if !cursor.is_null() {
            request["cursor"] = cursor;
        }
        let mut page = server.call("session_list", request);
        all.extend(ids(&page));
        count += 1;
        cursor = page["next"].take();
        if cursor.is_null() {
            return (all, count);
        }
    }
}

fn run_many(server: &Server, count: usize) -> Vec<String> {
    let ids: Vec<String> = (0..count)
        .map(|number| {
            let (module, even) =
                if number % 5 == 0 { ("faulty_exit7", number % 2) } else { ("hello", number % 2) };
            let labels = json!({ "even": (even == 0).to_string(), "number": number.to_string() });
            server.session(json!({ "module": module, "labels": labels }))
        })
        .collect();
    ids.iter().for_each(|id| drop(server.wait(id)));
    ids
}

fn check_everything(server: &Server, started: &[String]) {
    let newest_first: Vec<String> = started.iter().rev().cloned().collect();
    assert_eq!(pages(server, &json!({})), (newest_first.clone(), 1));
    for limit in [1, 3, 7, 26, 27, 28] {
        let (all, count) = pages(server, &json!({ "limit": limit }));
        assert_eq!(all, newest_first, "limit {limit}");
        assert_eq!(count, started.len().div_ceil(limit), "limit {limit}");
    }
    let only = |wanted: &dyn Fn(usize) -> bool| -> Vec<String> {
        let numbered = started.iter().enumerate().rev();
        numbered.filter(|(number, _)| wanted(*number)).map(|(_, id)| id.clone()).collect()
    };
    for limit in [2, 5, 100] {
        let list = |mut request: Value| {
            request["limit"] = json!(limit);
            pages(server, &request).0
        };
        assert_eq!(list(json!({ "state": "failed" })), only(&|number| number % 5 == 0));
        assert_eq!(list(json!({ "state": "succeeded" })), only(&|number| number % 5 != 0));
        assert_eq!(list(json!({ "state": "running" })), only(&|_| false));
        assert_eq!(list(json!({ "module": "hello" })), only(&|number| number % 5 != 0));
        assert_eq!(list(json!({ "label": "even=true" })), only(&|number| number % 2 == 0));
        assert_eq!(list(json!({ "label": "number" })), only(&|_| true));
        assert_eq!(list(json!({ "label": "number=7" })), only(&|number| number == 7));
        assert_eq!(list(json!({ "label": "number=07" })), only(&|_| false));
        assert_eq!(list(json!({ "label": "nothing" })), only(&|_| false));
        let both = json!({ "module": "hello", "label": "even=true", "state": "succeeded" });
        assert_eq!(list(both), only(&|number| number % 5 != 0 && number % 2 == 0));
    }
    let digest = server.call("module_get", json!({ "name": "faulty_exit7" }))["digest"].clone();
    assert_eq!(pages(server, &json!({ "module": digest })).0, only(&|number| number % 5 == 0));
}

#[test]
fn pages_and_filters_show_every_session_once_also_after_a_restart() {
    let mut server = Server::start();
    let mut started = run_many(&server, 27);
    check_everything(&server, &started);
    // Now from the history instead of memory.
    server.stop();
    server.start_again();
    check_everything(&server, &started);
    // And from both.
    let newer = server.session(json!({ "module": "hello", "labels": { "number": "27", "even": "false" } }));
    let _ = server.wait(&newer);
    started.push(newer);
    let newest_first: Vec<String> = started.iter().rev().cloned().collect();
    for limit in [1, 4, 100] {
        assert_eq!(pages(&server, &json!({ "limit": limit })).0, newest_first, "limit {limit}");
    }
}

#[test]
fn a_page_is_not_disturbed_by_sessions_that_start_meanwhile() {
    let server = Server::start();
    let started: BTreeSet<String> = run_many(&server, 6).into_iter().collect();
    let first = server.call("session_list", json!({ "limit": 3 }));
    let newer = run_many(&server, 3);
    let second = server.call("session_list", json!({ "limit": 100, "cursor": first["next"] }));
    let seen: Vec<String> = [ids(&first), ids(&second)].concat();
    assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), started);
    assert_eq!(seen.len(), 6);
    assert!(newer.iter().all(|id| !seen.contains(id)));
}

#[test]
fn a_session_is_listed_from_the_moment_it_was_accepted() {
    let server = Setup::new().set("max_sessions", 1).start();
    let running = server.session(json!({ "module": "ticker", "args": ["1000", "100"] }));
    let pending = server.session(json!({ "module": "hello", "labels": { "a": "b" } }));
    assert_eq!(ids(&server.call("session_list", json!({}))), [pending.clone(), running.clone()]);
    assert_eq!(
        ids(&server.call("session_list", json!({ "state": "pending" }))),
        std::slice::from_ref(&pending)
    );
    assert_eq!(ids(&server.call("session_list", json!({ "state": "running" }))), [running]);
    let info = server.info(&pending);
    assert_eq!(info["labels"], json!({ "a": "b" }));
    assert_eq!((&info["child_pid"], &info["outcome"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_cursor_that_no_page_gave_is_refused() {
    let server = Server::start();
    for cursor in ["x", "", "-1", "1.5", "99999999999999999999999"] {
        let refusal = server.refusal("session_list", json!({ "cursor": cursor }));
        assert_eq!(refusal["data"]["code_name"], "invalid_params", "{cursor}");
    }
    let filter = json!({ "state": "finished" });
    assert_eq!(server.refusal_name("session_list", filter), "invalid_params");
}
