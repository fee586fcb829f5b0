//! Compiling in the background.

use std::process::{Child, Command};

use e2e::{Server, Setup, Value, census, eventually, json};

fn artifact(server: &Server, name: &str) -> Value {
    server.call("module_get", json!({ "name": name }))["artifact"].clone()
}

#[test]
fn a_module_runs_interpreted_at_once_and_compiled_later() {
    let server = Setup::new().compiling().start();
    assert_eq!(artifact(&server, "ticker"), json!({ "state": "interpreted" }));
    let first = server.session(json!({ "module": "ticker", "args": ["3", "1"] }));
    let mut seen = vec![];
    eventually("it is compiled", || {
        let state = artifact(&server, "ticker")["state"].as_str().unwrap().to_owned();
        if seen.last() != Some(&state) {
            seen.push(state.clone());
        }
        (state == "compiled").then_some(())
    });
    // How much of the way was seen is a matter of speed; its order is not.
    let order = ["interpreted", "compiling", "compiled"];
    let places: Vec<_> =
        seen.iter().map(|state| order.iter().position(|known| known == state).unwrap()).collect();
    assert!(places.is_sorted(), "{seen:?}");
    let done = artifact(&server, "ticker");
    assert!(done["size"].as_u64().unwrap() > 0 && done["compile_ms"].is_u64(), "{done:#}");
    assert_eq!(server.wait(&first)["success"], true);
    assert_eq!(server.info(&first)["mode"], "interpreted");
    let second = server.session(json!({ "module": "ticker", "args": ["3", "1"] }));
    assert_eq!(server.wait(&second)["stdout"], "tick 1\ntick 2\ntick 3\n");
    assert_eq!(server.info(&second)["mode"], "compiled");
    eventually("the compile process is gone", || {
        server.tree().iter().all(|process| !census::title(process.pid).contains("--compile")).then_some(())
    });
}

#[test]
fn an_upload_is_compiled_without_a_session() {
    let server = Setup::new().compiling().start();
    let wasm = wat::parse_str("(module (memory (export \"memory\") 1) (func (export \"_start\")))").unwrap();
    let _ = server.upload("fresh", &wasm);
    let module = server.until_compiled("fresh");
    let list = server.call("module_list", json!({}));
    let listed = list["modules"].as_array().unwrap().iter().find(|module| module["name"] == "fresh").unwrap();
    assert_eq!(listed["artifact"], module["artifact"]);
    let id = server.session(json!({ "module": "fresh" }));
    assert_eq!(server.wait(&id)["success"], true);
    assert_eq!(server.info(&id)["mode"], "compiled");
}

#[test]
fn what_was_compiled_stays_so_after_a_restart() {
    let mut server = Setup::new().compiling().start();
    let _ = server.run(json!({ "module": "hello" }));
    let before = server.until_compiled("hello");
    server.stop();
    server.start_again();
    assert_eq!(artifact(&server, "hello"), before["artifact"]);
    let id = server.session(json!({ "module": "hello" }));
    assert_eq!(server.wait(&id)["stdout"], "hello, world\n");
    assert_eq!(server.info(&id)["mode"], "compiled");
}

#[test]
fn a_compile_that_takes_too_long_has_failed_and_sessions_run_on_interpreted() {
    let server = Setup::new().compiling().set("compile_timeout_ms", 1).start();
    let _ = server.run(json!({ "module": "hello" }));
    let why = eventually("compiling fails", || {
        let artifact = artifact(&server, "hello");
        (artifact["state"] == "failed").then(|| artifact["why"].as_str().unwrap().to_owned())
    });
    assert!(!why.is_empty());
    let id = server.session(json!({ "module": "hello" }));
    assert_eq!(server.wait(&id)["stdout"], "hello, world\n");
    assert_eq!(server.info(&id)["mode"], "interpreted");
    assert_eq!(server.get("/health").json()["status"], "ok");
}

#[test]
fn a_compile_that_wants_too_much_memory_has_failed_and_sessions_run_on_interpreted() {
    let server = Setup::new().compiling().set("compile_memory_mb", 16).start();
    let _ = server.run(json!({ "module": "hello" }));
    eventually("compiling fails", || (artifact(&server, "hello")["state"] == "failed").then_some(()));
    assert_eq!(server.run(json!({ "module": "hello" }))["stdout"], "hello, world\n");
}

/// Processes that want the processor all the time, but less than anybody else but a process of the idle class.
struct Busy(Vec<Child>);

impl Busy {
    fn machine() -> Self {
        let spin = || Command::new("nice").args(["-n", "19", "sh", "-c", "while :; do :; done"]).spawn();
        let each = 16 * std::thread::available_parallelism().map_or(1, usize::from);
        Self((0..each).map(|_| spin().expect("nice(1) and sh(1) are there")).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_module_is_compiled_also_where_the_machine_is_never_idle() {
    let server = Setup::new().compiling().start();
    let busy = Busy::machine();
    let _ = server.session(json!({ "module": "hello" }));
    eventually("the compile process goes on as one like others", || {
        server.tree().iter().any(|process| census::title(process.pid).ends_with(" normal")).then_some(())
    });
    drop(busy);
    let _ = server.until_compiled("hello");
}

#[test]
fn where_compiling_is_off_modules_stay_interpreted() {
    let server = Setup::new().set("compile", false).start();
    for _ in 0..3 {
        let id = server.session(json!({ "module": "hello" }));
        assert_eq!(server.wait(&id)["success"], true);
        assert_eq!(server.info(&id)["mode"], "interpreted");
    }
    assert_eq!(artifact(&server, "hello"), json!({ "state": "interpreted" }));
}
