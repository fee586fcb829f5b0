//! How a server is started.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::places;
use crate::server::{Folder, Server};

/// Settings of a server that is to be started. Modules are not compiled unless a test asks for it, so that sessions run
/// in one known mode; services are not started, and the gateway listens on no port.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The server's program.
    server: &'static str,
    env: BTreeMap<String, String>,
    flags: Vec<String>,
    pub(crate) services: PathBuf,
    /// Services that are declared in a folder of the server's own, each with its `service.json`.
    declared: Option<Vec<(String, Value)>>,
}

impl Default for Setup {
    fn default() -> Self {
        let bare = Self {
            server: "hero_runner_server",
            env: BTreeMap::new(),
            flags: Vec::new(),
            services: places::guests(),
            declared: None,
        };
        bare.set("compile", false).set("services", false).set("gateway_listen", "off")
    }
}

impl Setup {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The defaults, and these services, each by its name and what its `service.json` says: they are started, in a folder
    /// of the server's own that has only the guests that they name, and the gateway listens on a free port.
    #[must_use]
    pub fn with_services(services: &[(&str, Value)]) -> Self {
        let mut setup =
            Self::new().set("services", true).set("gateway_listen", "127.0.0.1:0").set("grace_ms", 2000);
        setup.declared =
            Some(services.iter().map(|(name, spec)| ((*name).to_owned(), spec.clone())).collect());
        setup
    }

    /// Writes what is declared, unless a server has been in this folder before.
    fn declare(&self, folder: &Path) {
        let dir = folder.join("services");
        let Some(declared) = self.declared.as_ref().filter(|_| !dir.exists()) else { return };
        std::fs::create_dir_all(&dir).expect("the services' folder can be made");
        for (name, spec) in declared {
            let config = dir.join(name).join("config");
            std::fs::create_dir_all(&config).expect("the service's folder can be made");
            std::fs::write(config.join("service.json"), spec.to_string())
                .expect("a declaration can be written");
            let module = spec["module"].as_str().unwrap_or(name);
            let guest = places::guests().join(format!("{module}.wasm"));
            if guest.is_file() {
                // Not a link: tests write to it.
                std::fs::copy(&guest, dir.join(format!("{module}.wasm"))).expect("a guest can be copied");
            }
        }
    }

    /// Gives a setting its value, through the environment.
    #[must_use]
    pub fn set(self, setting: &str, value: impl ToString) -> Self {
        self.env(&format!("HERO_RUNNER_{}", setting.to_uppercase()), value)
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.insert(name.to_owned(), value.to_string());
        self
    }

    /// Gives a flag.
    #[must_use]
    pub fn flag(mut self, flag: impl ToString) -> Self {
        self.flags.push(flag.to_string());
        self
    }

    /// Compiles modules in the background, as a server does by default.
    #[must_use]
    pub fn compiling(self) -> Self {
        self.set("compile", true)
    }

    /// Registers the guests of this folder instead of ours.
    #[must_use]
    pub fn services(mut self, folder: impl Into<PathBuf>) -> Self {
        self.services = folder.into();
        self
    }

    /// Another build of the server, by the name of its program.
    #[must_use]
    pub fn server(mut self, program: &'static str) -> Self {
        self.server = program;
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(self) -> Server {
        Server::begin(self, Folder::new())
    }

    /// Starts the server in a folder that a test has prepared, or that another server left behind.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_in(self, folder: Folder) -> Server {
        Server::begin(self, folder)
    }

    fn services_dir(&self, folder: &Path) -> PathBuf {
        if self.declared.is_none() { self.services.clone() } else { folder.join("services") }
    }

    /// A program of ours with this set-up in its environment, and nothing else.
    #[must_use]
    pub fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(places::program(program));
        command
            // What it forks stays here, and is found by it.
            .current_dir(folder)
            .env_clear()
            .env("HOME", folder)
            .env("HERO_SOCKET_DIR", folder.join("s"))
            .env("HERO_RUNNER_STATE_DIR", folder.join("state"))
            .env("HERO_RUNNER_SERVICES_DIR", self.services_dir(folder))
            // The usual port is for who uses this machine.
            .env("HERO_RUNNER_UI_LISTEN", "127.0.0.1:0")
            // A hero supervisor that runs on this machine is none of a test's business.
            .env("ZINIT_SOCKET", folder.join("zinit.sock"))
            .envs(&self.env);
        for name in ["PATH", "LD_LIBRARY_PATH", "HERO_RUNNER_WASMEDGE_RUNTIME", "RUST_BACKTRACE"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
    }

    /// Starts the server's process, its output in `server.log`.
    pub(crate) fn spawn(&self, folder: &Path) -> Child {
        self.declare(folder);
        let log = File::options().create(true).append(true).open(folder.join("server.log"));
        let log = log.expect("the log of the server can be written");
        let twin = log.try_clone().expect("a descriptor is left");
        let mut command = self.command(self.server, folder);
        // It stays in the test's process group: whoever ends that, as nextest and Ctrl-C do, ends the server too.
        command.args(&self.flags).stdin(Stdio::null()).stdout(twin).stderr(log);
        command.spawn().expect("the server's program can be run")
    }
}
