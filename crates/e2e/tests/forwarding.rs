//! `forward_logs`: lines of sessions in the system's log.

use std::path::Path;

use e2e::{Server, Setup, Value, eventually, json};

/// Where journald runs, lines go there and no file is written.
fn has_journal() -> bool {
    Path::new("/run/systemd/journal/socket").exists()
}

fn forwarded(server: &Server) -> Vec<Value> {
    let text = std::fs::read_to_string(server.state_dir().join("sessions.log")).unwrap_or_default();
    // The last line may not be whole yet.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn lines_of_a_session_that_asks_for_it_are_forwarded_with_its_id_and_kind() {
    if has_journal() {
        return;
    }
    let server = Server::start();
    let silent = server.session(json!({ "module": "hello" }));
    let _ = server.wait(&silent);
    let id = server.session(json!({ "module": "faulty_exit7", "forward_logs": true }));
    let _ = server.wait(&id);
    let lines =
        eventually("the line is forwarded", || Some(forwarded(&server)).filter(|lines| !lines.is_empty()));
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let text = lines[0].to_string();
    assert!(text.contains(&id) && text.contains("stderr") && text.contains("exiting with 7"), "{text}");
}

#[test]
fn where_all_are_forwarded_a_session_can_still_say_no() {
    if has_journal() {
        return;
    }
    let server = Setup::new().set("forward_logs", 1).start();
    let silent = server.session(json!({ "module": "hello", "forward_logs": false }));
    let _ = server.wait(&silent);
    let noisy = server.session(json!({ "module": "faulty_noisy_bytes" }));
    let _ = server.wait(&noisy);
    let count = server.lines(&noisy).len();
    eventually("its lines are forwarded", || (forwarded(&server).len() >= count).then_some(()));
    let lines = forwarded(&server);
    assert_eq!(lines.len(), count, "what a guest prints forges no line");
    assert!(lines.iter().all(|line| line.to_string().contains(&noisy)));
}
