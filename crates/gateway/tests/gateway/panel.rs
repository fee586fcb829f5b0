//! The UI: its paths, and whom it does not talk to.

use std::os::unix::fs::PermissionsExt as _;

use gateway::Settings;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::setup::{Bed, get, next, settings};
use crate::wire::{Message, Wire, within};

struct Panel {
    dir: TempDir,
    bed: Bed,
}

impl Panel {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            panel: Some(dir.path().join("ui.sock")),
            unix: Some(dir.path().join("web.sock")),
            hosts: vec!["box.example".to_owned()],
            ..settings()
        };
        Self { bed: Bed::with(settings).await, dir }
    }

    fn start(&self) -> mpsc::UnboundedReceiver<Message> {
        let listener = UnixListener::bind(self.dir.path().join("ui.sock")).expect("a socket");
        let (seen, seeing) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seen.clone();
                tokio::spawn(async move {
                    let mut wire = Wire::new(stream);
                    while let Some(request) = wire.message().await {
                        let _ = seen.send(request);
                        wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nui").await;
                    }
                });
            }
        });
        seeing
    }

    async fn unix(&self) -> Wire<UnixStream> {
        Wire::new(within(UnixStream::connect(self.dir.path().join("web.sock"))).await.expect("a socket"))
    }
}

#[tokio::test]
async fn the_ui_has_the_root_and_what_is_under_the_dash() {
    let panel = Panel::new().await;
    let mut seen = panel.start();
    // The services share the gateway's origin, so the UI's own pages are not there: only its panel is.
    for (path, there) in [
        ("/", "/panel"),
        ("/?q", "/panel?q"),
        ("/-", "/panel/-"),
        ("/-/", "/panel/-/"),
        ("/-/a/b?c", "/panel/-/a/b?c"),
        ("/-/%2F", "/panel/-/%2F"),
    ] {
        assert_eq!(panel.bed.get(path).await.text(), "ui");
        let request = next(&mut seen).await;
        assert_eq!(request.first_line(), format!("GET {there} HTTP/1.1"));
        assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(request.field("x-forwarded-host"), Some("localhost"));
        assert_eq!(request.field("x-forwarded-prefix"), None);
    }
    for path in ["/x", "/-x", "/x/-/"] {
        assert_eq!(panel.bed.get(path).await.status(), 404, "{path}");
    }
    assert_eq!(panel.bed.get("/-/../x").await.status(), 400);
}

#[tokio::test]
async fn a_ui_that_is_not_there_is_named() {
    let panel = Panel::new().await;
    let answer = panel.bed.get("/").await;
    assert_eq!((answer.status(), answer.code().as_str()), (503, "ui_not_running"));
    assert!(answer.text().contains("the UI (hero_runner_ui) is not running"));
    panel.start();
    assert_eq!(panel.bed.get("/").await.text(), "ui");
}

#[tokio::test]
async fn other_hosts_are_other_sites() {
    let panel = Panel::new().await;
    let mut seen = panel.start();
    for (host, status) in [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:80", 200),
        ("box.example", 200),
        ("BOX.example:81", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ] {
        let answer = panel.bed.call(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(answer.status(), status, "{host}");
        if status == 403 {
            assert_eq!(answer.code(), "host_refused");
        } else {
            next(&mut seen).await;
        }
    }
    assert!(seen.try_recv().is_err());
    // No browser reaches the Unix socket.
    let mut unix = panel.unix().await;
    assert_eq!(unix.call("GET / HTTP/1.1\r\nHost: whatever\r\n\r\n").await.text(), "ui");
    let request = next(&mut seen).await;
    assert_eq!(
        (request.field("x-forwarded-for"), request.field("forwarded")),
        (None, Some("for=unknown;host=\"whatever\";proto=http"))
    );
}

#[tokio::test]
async fn other_sites_change_nothing() {
    let panel = Panel::new().await;
    let _seen = panel.start();
    let post = |fields: &str| {
        format!("POST /-/x HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 0\r\n{fields}\r\n")
    };
    for (fields, status) in [
        ("", 200),
        ("Origin: http://localhost:1\r\nSec-Fetch-Site: same-origin\r\n", 200),
        ("Sec-Fetch-Site: none\r\n", 200),
        ("Origin: http://localhost:2\r\n", 403),
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Origin: http://localhost:1\r\nSec-Fetch-Site: same-site\r\n", 403),
    ] {
        let answer = panel.bed.call(post(fields)).await;
        assert_eq!(answer.status(), status, "{fields}");
    }
    let fields = "Connection: upgrade\r\nUpgrade: websocket\r\nOrigin: http://evil.example";
    let answer = panel.bed.call(format!("GET /-/ws HTTP/1.1\r\nHost: localhost:1\r\n{fields}\r\n\r\n")).await;
    assert_eq!(answer.code(), "origin_refused");
    let answer =
        panel.bed.call("GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n").await;
    assert_eq!(answer.status(), 200, "reading is the browser's own affair");
    // The rule holds on the Unix socket too.
    assert_eq!(panel.unix().await.call(post("Origin: null\r\n")).await.status(), 403);
}

#[tokio::test]
async fn the_unix_socket_is_for_this_user_and_goes_with_the_gateway() {
    let mut panel = Panel::new().await;
    let path = panel.dir.path().join("web.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(panel.unix().await.call(get("/none")).await.status(), 404);
    drop(panel.bed.stop.take());
    within(panel.bed.served).await.unwrap();
    assert_eq!(std::fs::read_dir(panel.dir.path()).unwrap().count(), 0, "nothing is left");
}
