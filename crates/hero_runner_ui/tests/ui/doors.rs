//! The port for browsers: who comes through it, and what for.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::samples::everything;
use crate::stand_in::{Pages, Seen};

fn thing() -> Pages {
    Pages::new(|method, _| everything("thing", method))
}

fn code(seen: &Seen) -> String {
    let told: Value = serde_json::from_str(&seen.body).unwrap_or_default();
    told["error"]["data"]["code_name"].as_str().unwrap_or_default().to_owned()
}

fn call(method: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {} }).to_string()
}

impl Pages {
    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port().port())
    }

    async fn look(&self, path: &str, more: &str) -> Seen {
        self.browse(&format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{more}", self.host()), "").await
    }

    async fn say(&self, path: &str, more: &str, body: &str) -> Seen {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{more}",
            self.host()
        );
        self.browse(&head, body).await
    }
}

#[tokio::test]
async fn reading_needs_no_token() {
    let pages = thing();
    for path in ["/sessions", "/admin", "/openrpc.json", "/health", "/sessions/ses-1/log.txt"] {
        assert_eq!(pages.look(path, "").await.status, 200, "{path}");
    }
    assert!(pages.look("/sessions", "").await.body.contains("data-door=\"tcp\""));
    assert!(pages.get("/sessions", "").await.body.contains("data-door=\"unix\""));
    for body in [call("stats"), format!("[{},{}]", call("session_list"), call("server_settings"))] {
        assert_eq!(pages.say("/rpc", "", &body).await.status, 200, "{body}");
    }
}

#[tokio::test]
async fn changing_needs_the_token_that_holds() {
    let pages = thing();
    let old = pages.token();
    let token = pages.token();
    for (path, body) in [
        ("/rpc", call("session_stop")),
        ("/rpc", call("log_level")),
        ("/rpc", call("a_new_method")),
        ("/rpc", format!("[{},{}]", call("stats"), call("session_start"))),
        ("/rpc", "[[]]".to_owned()),
        ("/rpc", "no JSON".to_owned()),
        ("/rpc", r#"{"method":"stats","Method":"x","method":"session_stop"}"#.to_owned()),
        ("/upload", String::new()),
        ("/modules", String::new()),
        ("/modules/a", String::new()),
    ] {
        for (shown, fault) in [
            (String::new(), "token_missing"),
            ("x-hero-token:\r\n".to_owned(), "token_missing"),
            ("x-hero-token: wrong\r\n".to_owned(), "token_wrong"),
            (format!("x-hero-token: {old}\r\n"), "token_expired"),
            (format!("x-hero-token: {token}\r\nx-hero-token: {token}\r\n"), "token_missing"),
            (format!("cookie: x-hero-token={token}\r\n"), "token_missing"),
        ] {
            let seen = pages.say(path, &shown, &body).await;
            assert_eq!((seen.status, code(&seen).as_str()), (401, fault), "{path} {body} {shown}");
            assert!(seen.body.contains("hero_runner ui"), "{}", seen.body);
        }
        let seen = pages.say(path, &format!("x-hero-token: {token}\r\n"), &body).await;
        assert_ne!(seen.status, 401, "{path} {body}");
    }
    assert!(pages.calls().iter().any(|(method, _)| method == "session_stop"));
    assert!(
        !pages.passed().iter().any(|(head, _)| head.contains(&token)),
        "the token is no matter of the server"
    );
}

#[tokio::test]
async fn without_the_token_nothing_of_it_reaches_the_server() {
    let pages = thing();
    for body in [call("session_stop"), format!("[{},{}]", call("health"), call("session_start"))] {
        assert_eq!(pages.say("/rpc", "", &body).await.status, 401);
    }
    pages.say("/upload", "", "x").await;
    assert!(pages.calls().is_empty() && pages.passed().is_empty(), "{:?}", pages.calls());
    // What is passed on is what was looked at.
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"session_stop","method":"session_get","params":{}}"#;
    assert_eq!(pages.say("/rpc", "", twice).await.status, 200);
    assert_eq!(pages.calls().len(), 1);
    assert_eq!(pages.calls()[0].0, "session_get");
}

#[tokio::test]
async fn a_name_of_somebody_else_that_leads_here_is_refused() {
    let pages = thing();
    let port = pages.port().port();
    for host in [format!("localhost:{port}"), format!("[::1]:{port}"), format!("BOX.example:{port}")] {
        let seen = pages.browse(&format!("GET /sessions HTTP/1.1\r\nhost: {host}\r\n"), "").await;
        assert_eq!(seen.status, 200, "{host}");
    }
    for host in [
        format!("rebound.example:{port}"),
        format!("127.0.0.1.nip.example:{port}"),
        "localhost".to_owned(),
        "localhost:14000".to_owned(),
        String::new(),
    ] {
        for (head, body) in [
            ("GET /sessions", ""),
            ("GET /assets/0/js/app.js", ""),
            ("GET /nothing", ""),
            ("POST /rpc", "{}"),
        ] {
            let seen = pages.browse(&format!("{head} HTTP/1.1\r\nhost: {host}\r\n"), body).await;
            assert_eq!((seen.status, code(&seen).as_str()), (403, "host_refused"), "{host} {head}");
            assert!(seen.header("content-security-policy").is_some());
        }
    }
    let absolute = format!("GET http://evil.example/sessions HTTP/1.1\r\nhost: localhost:{port}\r\n");
    assert_eq!(pages.browse(&absolute, "").await.status, 403);
}

#[tokio::test]
async fn a_page_of_another_origin_can_neither_read_nor_change() {
    let pages = thing();
    let token = pages.token();
    let own = format!("http://{}", pages.host());
    for origin in ["http://evil.example", "null", "http://127.0.0.1:14000", "https://127.0.0.1"] {
        // Even if it knew the token.
        let seen = pages
            .say("/rpc", &format!("origin: {origin}\r\nx-hero-token: {token}\r\n"), &call("session_stop"))
            .await;
        assert_eq!((seen.status, code(&seen).as_str()), (403, "origin_refused"), "{origin}");
        assert_eq!(pages.look("/rpc", &format!("origin: {origin}\r\n")).await.status, 403, "{origin}");
    }
    // A form of a service behind the gateway, which is the same site; a script, a picture, a frame.
    for (site, mode, dest) in [
        ("same-site", "navigate", "document"),
        ("cross-site", "navigate", "document"),
        ("cross-site", "cors", "empty"),
    ] {
        let fields =
            format!("sec-fetch-site: {site}\r\nsec-fetch-mode: {mode}\r\nsec-fetch-dest: {dest}\r\n");
        assert_eq!(pages.say("/rpc", &fields, &call("stats")).await.status, 403, "{site} {mode} {dest}");
    }
    for dest in ["script", "image", "iframe", "empty"] {
        let fields =
            format!("sec-fetch-site: same-site\r\nsec-fetch-mode: no-cors\r\nsec-fetch-dest: {dest}\r\n");
        for path in ["/openrpc.json", "/sessions", "/sse/session/x"] {
            assert_eq!(pages.look(path, &fields).await.status, 403, "{dest} {path}");
        }
    }
    let link = "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n";
    assert_eq!(pages.look("/sessions", link).await.status, 200, "a link may lead here");
    let fields = format!("origin: {own}\r\nsec-fetch-site: same-origin\r\nx-hero-token: {token}\r\n");
    assert_eq!(pages.say("/rpc", &fields, &call("session_get")).await.status, 200);
    assert!(pages.calls().iter().all(|(method, _)| method == "session_get"), "{:?}", pages.calls());
    let preflight = format!(
        "OPTIONS /rpc HTTP/1.1\r\nhost: {}\r\norigin: http://evil.example\r\naccess-control-request-method: POST\r\n",
        pages.host()
    );
    let seen = pages.browse(&preflight, "").await;
    assert!(seen.status == 403 && seen.header("access-control-allow-origin").is_none(), "{}", seen.head);
}

#[tokio::test]
async fn the_panel_is_not_behind_the_port() {
    let pages = thing();
    let token = pages.token();
    assert_eq!(pages.look("/panel", "").await.status, 404);
    let seen = pages.say("/panel/-/schedules/run", &format!("x-hero-token: {token}\r\n"), "id=a/b").await;
    assert_eq!(seen.status, 404);
    let seen = pages.get("/panel", "").await;
    let address = format!("href=\"http://{}/\"", pages.host());
    assert!(seen.body.contains(&address) && !seen.body.contains(&token), "{}", seen.body);
}

#[tokio::test]
async fn another_user_gets_no_answer() {
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else.
        return;
    }
    let pages = thing();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET /health HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nConnection: close\\r\\n\\r\\n' >&3 && cat <&3",
        port = pages.port().port()
    );
    let ask_as = async |user: u32| {
        let mut command = Command::new("/bin/bash");
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .args(["-c", &script])
            .uid(user)
            .gid(user)
            .current_dir("/");
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(ask_as(0).await.contains("\"hero_runner_ui\""));
    assert_eq!(ask_as(65_534).await, "");
}
