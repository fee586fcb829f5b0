//! A server in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use client::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::census::{self, Process};
use crate::http::{Reply, Request};
use crate::patience::{eventually, patience};
use crate::setup::Setup;
use crate::sse::Events;

/// A private folder, removed at the end. Its path is short: a socket's address has 107 bytes.
#[derive(Debug)]
pub struct Folder(tempfile::TempDir);

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    /// A new one.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let mut root = std::env::temp_dir();
        if root.as_os_str().len() > 40 {
            root = PathBuf::from("/tmp");
        }
        let dir = tempfile::Builder::new().prefix("hr").tempdir_in(&root);
        Self(dir.unwrap_or_else(|error| panic!("no folder in {}: {error}", root.display())))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A running server. It is killed when this is dropped, which fails the test when a process of its tree is left.
#[derive(Debug)]
pub struct Server {
    setup: Setup,
    folder: Folder,
    child: Child,
    /// Everybody who was seen in its tree.
    seen: Vec<Process>,
}

impl Server {
    /// Starts one with the default settings.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn start() -> Self {
        Setup::new().start()
    }

    pub(crate) fn begin(setup: Setup, folder: Folder) -> Self {
        let child = setup.spawn(folder.path());
        let mut server = Self { setup, folder, child, seen: Vec::new() };
        server.until_it_answers();
        server
    }

    fn until_it_answers(&mut self) {
        eventually("the server answers", || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the server ended at once: {status}\n{}", self.log());
            }
            let request = Request { method: "GET", path: "/health", headers: &[], body: b"" };
            request.send(&self.socket(), patience()).ok().filter(|reply| reply.status == 200)
        });
    }

    /// Its folder: `s` has the sockets, `state` the state, `server.log` what it logs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir().join("s/hero_runner/rpc.sock")
    }

    /// The folder of its state.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.dir().join("server.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its zygote's process.
    ///
    /// # Panics
    /// When there is none for longer than patience lasts.
    #[must_use]
    pub fn zygote_pid(&self) -> u32 {
        eventually("there is a zygote", || self.call("stats", crate::json!({}))["zygote_pid"].as_u64())
            .try_into()
            .expect("a pid has 32 bits")
    }

    /// The typed client.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.socket())
    }

    /// A request on a connection of its own.
    ///
    /// # Panics
    /// When there is no reply.
    #[must_use]
    pub fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        // The longest that the API itself waits comes on top.
        let deadline = patience() + Duration::from_secs(60);
        let reply = Request { method, path, headers, body }.send(&self.socket(), deadline);
        reply.unwrap_or_else(|error| panic!("{method} {path} has no reply: {error}"))
    }

    /// A GET.
    ///
    /// # Panics
    /// When there is no reply.
    #[must_use]
    pub fn get(&self, path: &str) -> Reply {
        self.http("GET", path, &[], b"")
    }

    /// Follows a session's log, after the event with this id or from the beginning.
    ///
    /// # Panics
    /// When there is no such session.
    #[must_use]
    pub fn follow(&self, session_id: &str, last_event_id: Option<&str>) -> Events {
        let headers: Vec<_> = last_event_id.map(|id| ("last-event-id", id)).into_iter().collect();
        Events::new(self.http("GET", &format!("/sse/session/{session_id}"), &headers, b""))
    }

    /// The command line, with this server's folders in its environment.
    #[must_use]
    pub fn cli(&self, args: &[&str]) -> Command {
        let mut command = self.setup.command("hero_runner", self.dir());
        command.args(args);
        command
    }

    /// Everybody in its tree, zombies too; the server itself is not among them.
    #[must_use]
    pub fn tree(&self) -> Vec<Process> {
        census::descendants(self.pid())
    }

    /// Sends a signal to the server's own process.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        signal_to(self.pid(), signal);
    }

    /// Waits until the server's process ended by itself, and nothing of its tree is left.
    ///
    /// # Panics
    /// When it does not end, or leaves something behind.
    pub fn until_gone(&mut self) -> ExitStatus {
        self.look();
        let status =
            eventually("the server ends", || self.child.try_wait().expect("our own child can be waited for"));
        self.until_alone();
        status
    }

    /// Tells it to stop and waits for its end.
    ///
    /// # Panics
    /// When it does not end, or leaves something behind.
    pub fn stop(&mut self) -> ExitStatus {
        self.look();
        self.signal(Signal::SIGTERM);
        self.until_gone()
    }

    /// Kills it with SIGKILL, and waits until nothing of its tree is left.
    ///
    /// # Panics
    /// When something is left.
    pub fn kill(&mut self) {
        self.look();
        let _ = self.child.kill();
        self.until_gone();
    }

    /// Starts it again in the same folder with the same settings, after it ended.
    ///
    /// # Panics
    /// When it still runs, or does not answer.
    pub fn start_again(&mut self) {
        assert!(matches!(self.child.try_wait(), Ok(Some(_))), "the server still runs");
        self.child = self.setup.spawn(self.folder.path());
        self.until_it_answers();
    }

    /// Waits until the history has this text on the disk: the id of a session, or a line. From then on it survives
    /// SIGKILL.
    ///
    /// # Panics
    /// When it does not come there.
    pub fn until_on_disk(&self, text: &str) {
        until_on_disk(&self.state_dir(), text);
    }

    fn look(&mut self) {
        self.seen = self.tree();
    }

    /// Who is left of its tree after its end.
    fn left(&self) -> Vec<Process> {
        let mut left: Vec<Process> =
            self.seen.iter().filter(|process| process.still_runs()).cloned().collect();
        left.extend(census::living_in(self.dir()));
        left.dedup();
        left
    }

    fn until_alone(&self) {
        eventually("nothing of the server's tree is left", || self.left().is_empty().then_some(()));
    }

    /// Gives its folder away, after its end.
    ///
    /// # Panics
    /// When it still runs or something of its tree does.
    #[must_use]
    pub fn into_folder(mut self) -> Folder {
        self.kill();
        std::mem::take(&mut self.folder)
    }
}

/// Waits until the history in this folder has a text on the disk.
///
/// # Panics
/// When it does not come there.
pub fn until_on_disk(state_dir: &Path, text: &str) {
    let holds = |name: &str| {
        let bytes = std::fs::read(state_dir.join(name)).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    eventually("the text is on the disk", || {
        ["hero_runner.db-wal", "hero_runner.db"].into_iter().any(holds).then_some(())
    });
}

/// Sends a signal to a process that belongs to a server of this test.
///
/// # Panics
/// When it is gone.
pub fn signal_to(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().expect("a pid has 31 bits"));
    kill(pid, signal).unwrap_or_else(|error| panic!("{signal} to {pid}: {error}"));
}

impl Drop for Server {
    fn drop(&mut self) {
        self.look();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}---", self.log());
            for process in self.left() {
                // It may be gone by now.
                let _ = kill(Pid::from_raw(process.pid.cast_signed()), Signal::SIGKILL);
            }
            return;
        }
        self.until_alone();
        let path = self.dir().to_owned();
        drop(std::mem::take(&mut self.folder));
        assert!(!path.exists(), "{} is left", path.display());
    }
}
