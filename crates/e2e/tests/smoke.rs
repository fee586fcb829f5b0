//! The shortest way through everything.

use e2e::{Server, json};

#[test]
fn hello_runs_and_its_log_is_followed_to_the_end() {
    let server = Server::start();
    let id = server.session(json!({ "module": "hello" }));
    let result = server.wait(&id);
    assert_eq!(result["success"], true);
    assert_eq!(result["stdout"], "hello, world\n");
    let events: Vec<_> = server.follow(&id, None).collect();
    assert_eq!(events.iter().filter(|event| event.is_line()).count(), 1);
    assert_eq!(events.last().unwrap().name, "end");
    assert_ne!(server.zygote_pid(), server.pid());
}
