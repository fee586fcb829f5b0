//! `--start`, `--stop`, `--status`.

use std::process::{Command, Output, Stdio};

use e2e::{Door, Folder, Setup, Value, census, eventually, json};
use nix::sys::signal::Signal;

/// A folder in which servers are started by the command line. What is left at the end is killed, and is an error.
struct Place {
    folder: Folder,
    setup: Setup,
}

impl Place {
    fn new() -> Self {
        Self { folder: Folder::new(), setup: Setup::new() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.setup.command("hero_runner", self.folder.path());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the command line can be run")
    }

    fn code(&self, args: &[&str]) -> Option<i32> {
        self.run(args).status.code()
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}"))
    }

    fn servers(&self) -> Vec<u32> {
        let all = census::living_in(self.folder.path());
        let servers = all.iter().filter(|process| census::title(process.pid).contains("hero_runner_server"));
        servers.map(|process| process.pid).collect()
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("s/hero_runner/rpc.sock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left = census::living_in(self.folder.path());
        let titles: Vec<String> = left.iter().map(|process| census::title(process.pid)).collect();
        for process in left.iter().filter(|process| process.still_runs()) {
            let pid = nix::unistd::Pid::from_raw(process.pid.try_into().expect("a pid has 31 bits"));
            // It may end by itself at this very moment.
            let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
        }
        if !std::thread::panicking() {
            assert!(titles.is_empty(), "these were left: {titles:?}");
        }
    }
}

#[test]
fn a_server_is_started_once_used_and_stopped_without_a_trace() {
    let place = Place::new();
    assert_eq!(place.code(&["--status"]), Some(3), "it does not run");
    assert_eq!(place.code(&["run", "hello"]), Some(125));
    let first = place.json(&["--start", "-o", "json"]);
    assert_eq!((&first["started"], &first["started_by"]), (&json!(true), &json!("hero_runner")));
    assert_eq!(place.servers(), [u32::try_from(first["pid"].as_u64().unwrap()).unwrap()]);
    assert_eq!(place.code(&["--status"]), Some(0));
    let hello = place.run(&["run", "hello"]);
    assert_eq!(hello.stdout, b"hello, world\n", "{hello:?}");
    let second = place.json(&["--start", "-o", "json"]);
    assert_eq!((&second["started"], &second["pid"]), (&json!(false), &first["pid"]));
    assert_eq!(place.servers().len(), 1);
    let stopped = place.json(&["--stop", "-o", "json"]);
    assert_eq!((&stopped["was_running"], &stopped["result"]), (&json!(true), &json!("stopped")));
    eventually("nothing of it is left", || census::living_in(place.folder.path()).is_empty().then_some(()));
    assert!(!place.socket().exists());
    assert_eq!(place.code(&["--status"]), Some(3));
    assert_eq!(place.code(&["--stop"]), Some(0), "there is nothing to stop");
}

/// A request by hand, to an address such as `http://127.0.0.1:14001/`.
fn browse(address: &str, head: &str, body: &Value) -> String {
    let authority = address.trim_start_matches("http://").trim_end_matches('/');
    let door = Door::Tcp(authority.parse().expect("an address"));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let fields = format!("host: {authority}\r\nconnection: close\r\ncontent-type: application/json\r\n");
    let (first, more) = head.split_once('\n').unwrap_or((head, ""));
    let request = format!("{first} HTTP/1.1\r\n{fields}{more}content-length: {}\r\n\r\n{body}", body.len());
    let answer = door.exchange(request.as_bytes(), e2e::patience()).expect("it answers");
    String::from_utf8(answer).expect("it is text")
}

#[test]
fn the_dashboard_is_there_for_browsers_and_the_gateway_leads_to_it() {
    let mut place = Place::new();
    place.setup = Setup::new().set("gateway_listen", "127.0.0.1:0");
    let told = place.json(&["--start", "-o", "json"]);
    let url = told["ui"]["url"].as_str().unwrap_or_else(|| panic!("{told:#}"));
    let (address, token) = url.split_once("#token=").unwrap();
    assert_eq!(String::from_utf8(place.run(&["ui"]).stdout).unwrap(), format!("{url}\n"));
    let status = place.json(&["--status", "-o", "json"]);
    assert_eq!(status["ui"]["address"], address);
    assert!(!status.to_string().contains(token), "only who asks for it is shown the token");
    assert_eq!(place.json(&["--start", "-o", "json"])["ui"]["url"], url, "the same as before");

    let start = json!({
        "jsonrpc": "2.0", "id": 1, "method": "session_start", "params": { "module": "hello", "wait_ms": 10_000 },
    });
    let refused = browse(address, "POST /rpc", &start);
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("token_missing"), "{refused}");
    let done = browse(address, &format!("POST /rpc\nx-hero-token: {token}\r\n"), &start);
    assert!(done.starts_with("HTTP/1.1 200") && done.contains("hello, world"), "{done}");
    let page = browse(address, "GET /sessions", &Value::Null);
    assert!(page.contains(">exited 0<") && page.contains("</html>"), "{page}");

    let gateway = told["gateway"].as_str().unwrap();
    let panel = browse(gateway, "GET /", &Value::Null);
    assert!(panel.starts_with("HTTP/1.1 200") && panel.contains(&format!("href=\"{address}\"")), "{panel}");
    assert!(!panel.contains(token) && !panel.contains("<script"), "{panel}");
    // Of the dashboard, nothing is at the services' origin.
    for path in ["/sessions", "/rpc", "/openrpc.json", "/-/../sessions"] {
        let seen = browse(gateway, &format!("GET {path}"), &Value::Null);
        assert!(seen.starts_with("HTTP/1.1 40"), "{path}: {seen}");
    }
    assert_eq!(place.code(&["--stop"]), Some(0));
    assert_eq!(place.code(&["ui"]), Some(1), "it does not run");
    assert!(!place.folder.path().join("s/hero_runner/ui.url").exists());
}

#[test]
fn starts_at_the_same_time_are_one_server() {
    let place = Place::new();
    let starts: Vec<_> = (0..4).map(|_| place.command(&["--start", "-o", "json"]).spawn().unwrap()).collect();
    let mut pids = Vec::new();
    for start in starts {
        let output = start.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        pids.push(told["pid"].as_u64().unwrap());
    }
    pids.dedup();
    assert_eq!(pids.len(), 1, "{pids:?}");
    eventually("one server is left", || (place.servers().len() == 1).then_some(()));
    assert_eq!(place.code(&["run", "hello"]), Some(0));
    assert_eq!(place.code(&["--stop"]), Some(0));
}

#[test]
fn a_server_that_was_killed_is_told_from_one_that_never_ran_and_is_started_again() {
    let place = Place::new();
    assert_eq!(place.code(&["--start", "--no-ui"]), Some(0));
    assert_eq!(place.code(&["run", "hello"]), Some(0));
    e2e::until_on_disk(&place.folder.path().join("state"), "hello, world");
    e2e::signal_to(place.servers()[0], Signal::SIGKILL);
    eventually("nothing of it is left", || census::living_in(place.folder.path()).is_empty().then_some(()));
    assert!(place.socket().exists());
    assert_eq!(place.code(&["--status"]), Some(1), "dead, and its socket is left");
    assert_eq!(place.code(&["--start", "--no-ui"]), Some(0));
    let sessions = place.json(&["ps", "-a", "-o", "json"]);
    assert!(sessions.to_string().contains("hello"), "the history is there: {sessions:#}");
    e2e::signal_to(place.servers()[0], Signal::SIGKILL);
    eventually("nothing of it is left", || census::living_in(place.folder.path()).is_empty().then_some(()));
    let stopped = place.json(&["--stop", "-o", "json"]);
    assert_eq!(stopped["removed_stale_socket"], true);
    assert!(!place.socket().exists());
}

#[test]
fn stopping_ends_sessions_that_do_not_end_by_themselves() {
    let place = Place::new();
    assert_eq!(place.code(&["--start", "--no-ui"]), Some(0));
    let id = String::from_utf8(place.run(&["run", "-d", "faulty_spin"]).stdout).unwrap().trim().to_owned();
    assert_eq!(place.code(&["--stop", "--timeout", "2s"]), Some(0));
    eventually("nothing of it is left", || census::living_in(place.folder.path()).is_empty().then_some(()));
    assert_eq!(place.code(&["--start", "--no-ui"]), Some(0));
    let shown = place.json(&["inspect", &id, "-o", "json"]);
    // Cancelled, or interrupted when the server was in a hurry: it has ended and is remembered.
    assert!(matches!(shown["session"]["state"].as_str(), Some("cancelled" | "failed")), "{shown:#}");
    assert_eq!(place.code(&["--stop"]), Some(0));
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let mut place = Place::new();
    place.setup = place.setup.clone().set("spare_min", 9).set("spare_max", 1);
    let output = place.run(&["--start", "--no-ui"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("spare_min"), "{told}");
    place.setup = Setup::new().env("HERO_SOCKET_DIR", format!("/tmp/{}", "x".repeat(120)));
    let output = place.run(&["--start", "--no-ui"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("107"), "{output:?}");
}

#[test]
fn a_server_in_the_foreground_is_the_process_itself() {
    let place = Place::new();
    let mut child = place
        .command(&["--start", "--foreground"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("it answers", || (place.code(&["--status"]) == Some(0)).then_some(()));
    assert_eq!(place.servers(), [child.id()]);
    e2e::signal_to(child.id(), Signal::SIGTERM);
    assert!(eventually("it ends", || child.try_wait().unwrap()).success());
}
