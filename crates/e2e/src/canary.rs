//! A session that shows whether something disturbed its server, and how the server stood before.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use serde_json::{Value, json};

use crate::census;
use crate::http::Request;
use crate::patience::{eventually, patience};
use crate::server::Server;

/// Workers that a server with the default settings keeps parked when nothing happens.
const SPARE: u64 = 2;

/// A running session of the guest `canary`, which prints `c 1`, `c 2`, … every 10 ms.
#[derive(Debug)]
pub struct Canary<'server> {
    server: &'server Server,
    /// The session.
    pub id: String,
    /// The lines that were seen so far.
    seen: u64,
    calm: Calm,
}

impl<'server> Canary<'server> {
    /// Starts it, and takes down how the server stands then.
    ///
    /// # Panics
    /// When it does not print.
    #[must_use]
    pub fn start(server: &'server Server) -> Self {
        // A session that finds no worker parked makes the pool grow for a while.
        eventually("the pool is full", || (server.stats()["parked"] == SPARE).then_some(()));
        let id = server.session(json!({ "module": "canary" }));
        let mut canary = Self { server, id, seen: 0, calm: Calm::default() };
        canary.sings();
        canary.calm = Calm::of(server);
        canary
    }

    /// It still runs and prints, and no line is missing between this one and the last that was seen.
    ///
    /// # Panics
    /// When something has disturbed it.
    pub fn sings(&mut self) {
        let begin = self.seen;
        eventually("the canary prints", || {
            self.listen();
            (self.seen >= begin + 3).then_some(())
        });
        let info = self.server.info(&self.id);
        assert_eq!(info["state"], "running", "{info:#}");
        assert_eq!(info["log_dropped"], 0, "{info:#}");
    }

    fn listen(&mut self) {
        let mut request = json!({ "session_id": self.id, "limit": 10_000 });
        if let Some(last) = self.seen.checked_sub(1) {
            request["after_seq"] = json!(last);
        }
        let page = self.server.call("session_logs", request);
        assert_eq!(page["gap"], 0, "{page:#}");
        for line in page["lines"].as_array().into_iter().flatten() {
            assert_eq!(line["seq"], self.seen, "lines are missing");
            self.seen += 1;
            assert_eq!(line["line"], format!("c {}", self.seen), "the canary was disturbed");
        }
    }

    /// It sings, and the server stands as it stood at the start.
    ///
    /// # Panics
    /// When it does not.
    pub fn is_undisturbed(&mut self) {
        self.sings();
        self.calm.is_back(self.server);
        self.sings();
    }
}

/// How a server stands when nothing happens: its descriptors, its zygote's, its files.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Calm {
    sessions: u64,
    server: BTreeMap<String, usize>,
    zygote: BTreeMap<String, usize>,
    files: Vec<String>,
}

impl Calm {
    /// Waits until the pool is full and nothing is queued, and takes down how the server stands.
    ///
    /// # Panics
    /// When it does not come to rest.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        // The same twice: nothing is on its way.
        let mut before = None;
        eventually("the server comes to rest", || {
            let now = Self::look(server)?;
            let same = before.as_ref() == Some(&now);
            before = Some(now.clone());
            same.then_some(now)
        })
    }

    fn look(server: &Server) -> Option<Self> {
        let stats = server.stats();
        let zygote = stats["zygote_pid"].as_u64()?.try_into().ok()?;
        let parked = census::children(zygote).iter().filter(|worker| is_parked(worker.pid)).count() as u64;
        let rests = stats["parked"] == SPARE && parked == SPARE && stats["queued"] == 0;
        rests.then(|| Self {
            sessions: stats["running"].as_u64().unwrap_or_default(),
            server: descriptors(server.pid()),
            zygote: descriptors(zygote),
            files: files(server.dir()),
        })
    }

    /// Waits until the server stands like this again, is healthy, and has no zombie.
    ///
    /// # Panics
    /// When it does not.
    pub fn is_back(&self, server: &Server) {
        let mut last: Box<dyn Debug> = Box::new("nothing");
        let back = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("the server stands as before", || {
                let now = Self::look(server);
                let zombies = census::zombies(server.pid());
                let health = server.get("/health").json();
                if now.as_ref() == Some(self) && zombies.is_empty() && health["status"] == "ok" {
                    return Some(());
                }
                last = Box::new((now, zombies, health));
                None
            });
        }));
        assert!(back.is_ok(), "it stood like this: {self:#?}\nand stands like this: {last:#?}");
    }
}

/// Whether a process is a worker that waits for a session.
#[must_use]
pub fn is_parked(pid: u32) -> bool {
    census::title(pid) == "hero_runner: worker (parked)"
}

/// How many descriptors lead to what. What the server keeps open on purpose, up to a fixed number, is not counted:
/// modules that ran, and connections to the database.
fn descriptors(pid: u32) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (_, target) in census::open_files(pid) {
        let target = target.to_string_lossy();
        let kept =
            target.contains("/hero_runner.db") || target.ends_with(".wasm") || target.contains("/artifacts/");
        if !kept && !target.contains("/modules/") {
            let kind = target.split_once(":[").map_or(&*target, |(kind, _)| kind);
            *found.entry(kind.to_owned()).or_default() += 1;
        }
    }
    found
}

/// The files of a folder and of those in it.
#[must_use]
pub fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            found.push(path.strip_prefix(dir).unwrap_or(&path).display().to_string());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(path);
            }
        }
    }
    found.sort();
    found
}

impl Server {
    /// The processes that wait for a session.
    #[must_use]
    pub fn parked(&self) -> Vec<u32> {
        let pids = census::children(self.zygote_pid()).into_iter().map(|worker| worker.pid);
        pids.filter(|pid| is_parked(*pid)).collect()
    }

    /// The process of a running session.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn worker(&self, session_id: &str) -> u32 {
        eventually("the session has a process", || self.info(session_id)["child_pid"].as_u64())
            .try_into()
            .expect("a pid has 32 bits")
    }

    /// Waits until a session has printed this line.
    ///
    /// # Panics
    /// When it does not.
    pub fn until_line(&self, session_id: &str, line: &str) {
        eventually("the session prints its line", || {
            self.lines(session_id).iter().any(|found| found["line"] == line).then_some(())
        });
    }

    /// Posts a body to `/rpc` until it is answered, while the server has no descriptor left for some connections.
    ///
    /// # Panics
    /// When it is never answered.
    #[must_use]
    pub fn post_when_possible(&self, body: &Value) -> Value {
        let body = body.to_string();
        let headers = [("content-type", "application/json")];
        let request = Request { method: "POST", path: "/rpc", headers: &headers, body: body.as_bytes() };
        eventually("the server answers", || {
            let reply = request.send(&self.socket(), patience()).ok()?;
            (reply.status == 200).then(|| reply.json())
        })
    }
}
