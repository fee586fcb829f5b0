//! Programs of the host that a guest may have started: those of the list, with the permission, and no others.

use e2e::{Server, Setup, Value, census, eventually, json};

/// A server whose sessions may have these programs started.
fn server(programs: &str) -> Server {
    Setup::new().set("exec_programs", programs).start()
}

/// Guests that start what their arguments say, with the engine of each.
const GUESTS: [(&str, Option<&str>); 3] =
    [("launch", None), ("launch", Some("wasmtime")), ("launch_component", None)];

fn run(server: &Server, (module, engine): (&str, Option<&str>), args: &[&str], permissions: Value) -> Value {
    server.run(json!({
        "module": module, "engine": engine, "args": args, "permissions": permissions, "stdin": "in\n",
    }))
}

#[test]
fn a_listed_program_runs_with_input_arguments_and_its_output() {
    let server = server("/bin/sh:/bin/cat");
    for guest in GUESTS {
        let script = "cat; echo \"$1\" >&2; env | grep -v -e PATH -e PWD -e SHLVL -e _=; pwd";
        let result = run(&server, guest, &["sh", "-c", script, "sh", "two words"], json!({ "exec": true }));
        assert_eq!(result["success"], true, "{guest:?}: {result:#}");
        assert_eq!(result["stdout"], "in\n/\n", "{guest:?}: {result:#}");
        assert_eq!(result["stderr"], "two words\n", "{guest:?}: {result:#}");
        let failed = run(&server, guest, &["/bin/sh", "-c", "exit 7"], json!({ "exec": true }));
        // A component tells only good or bad.
        let code = if guest.0 == "launch" { 7 } else { 1 };
        assert_eq!(failed["exit_code"], code, "{guest:?}: {failed:#}");
    }
}

#[test]
fn without_the_permission_or_off_the_list_it_is_refused_and_said_why() {
    let server = server("/bin/cat");
    for guest in GUESTS {
        let refused = run(&server, guest, &["cat"], json!({}));
        let said = refused["stderr"].as_str().unwrap();
        assert!(said.contains("permissions.exec has to be true"), "{guest:?}: {refused:#}");
        assert_eq!((&refused["success"], &refused["stdout"]), (&json!(false), &json!("")), "{guest:?}");
        for unlisted in ["sh", "/bin/sh", "../bin/cat", "/bin/../bin/cat"] {
            let refused = run(&server, guest, &[unlisted], json!({ "exec": true }));
            let said = refused["stderr"].as_str().unwrap();
            assert!(said.contains("exec_programs"), "{guest:?} {unlisted}: {refused:#}");
            assert_eq!(refused["success"], false, "{guest:?} {unlisted}");
        }
    }
}

#[test]
fn where_the_settings_list_none_the_permission_is_refused() {
    let server = Server::start();
    let request = json!({ "module": "launch", "args": ["cat"], "permissions": { "exec": true } });
    let error = server.refusal("session_start", request);
    assert_eq!(error["data"]["code_name"], "permission_denied", "{error:#}");
    assert!(error["message"].as_str().unwrap().contains("exec_programs"), "{error:#}");
}

#[test]
fn a_program_that_prints_too_much_or_is_not_there_has_failed_and_the_guest_goes_on() {
    let server = server("/bin/cat:/nothing/here");
    for guest in GUESTS {
        for (args, why) in [(&["cat", "/dev/zero"][..], "more than"), (&["here"], "cannot start")] {
            let failed = run(&server, guest, args, json!({ "exec": true }));
            assert!(failed["stderr"].as_str().unwrap().contains(why), "{guest:?} {args:?}: {failed:#}");
            assert_eq!(failed["outcome"]["kind"], "exited", "{guest:?} {args:?}: {failed:#}");
        }
    }
}

#[test]
fn what_was_started_ends_with_its_session_and_with_the_server() {
    let server = server("/bin/sleep");
    let sleeps = || census::children(server.pid()).iter().filter(|one| one.name == "sleep").count();
    for timeout_ms in [Value::Null, json!(2000)] {
        let request = json!({
            "module": "launch", "args": ["sleep", "1000"], "permissions": { "exec": true }, "timeout_ms": timeout_ms,
        });
        let id = server.session(request);
        eventually("the program runs", || (sleeps() == 1).then_some(()));
        if timeout_ms.is_null() {
            let _ = server.call("session_stop", json!({ "session_id": id, "grace_ms": 0 }));
        }
        let result = server.wait(&id);
        let expected = if timeout_ms.is_null() { "cancelled" } else { "timed_out" };
        assert_eq!(result["outcome"]["kind"], expected, "{result:#}");
        eventually("the program is gone", || (sleeps() == 0).then_some(()));
    }
}
