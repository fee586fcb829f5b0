//! The settings: one table, four layers.
//!
//! Each row of the table is a name, a type, a default and a sentence. The same row makes the key of the file, the
//! variable `HERO_RUNNER_<NAME>`, the flag `--<name>` and the line of `--help` and `--print-config`, so none of them can
//! be forgotten or say something else.

mod flags;
mod layers;
mod print;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use flags::{Call, command, parse};
pub use layers::{Error, Origin, Sources};
pub use print::Format;
pub use value::{Door, LogLevel, Secret, Value, Words};

use layers::Given;

/// One row of the table, as the flags and the help see it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name, which is the key of the file.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// What a value looks like, in capitals.
    pub hint: &'static str,
    /// Whether the flag may be given several times.
    pub is_list: bool,
}

impl Row {
    /// The flag without its dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", layers::PREFIX, self.name.to_uppercase())
    }
}

/// What a default may depend on.
#[derive(Clone, Copy)]
struct Place<'a> {
    env: api::paths::Lookup<'a>,
    state_dir: &'a Path,
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $ty:ty = $default:expr;)*) => {
        /// Every setting with the value that holds.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $name: $ty,)*
        }

        /// The table.
        pub const ROWS: &[Row] = &[
            $(Row {
                name: stringify!($name),
                doc: concat!($($doc),+),
                hint: <$ty as Value>::HINT,
                is_list: <$ty as Value>::IS_LIST,
            }),*
        ];

        impl Settings {
            fn assemble(
                given: &BTreeMap<&'static str, (Given, Origin)>,
                place: Place<'_>,
            ) -> Result<Self, Error> {
                Ok(Self {
                    $($name: match given.get(stringify!($name)) {
                        Some((value, origin)) => value.read::<$ty>(stringify!($name), origin)?,
                        None => {
                            let default: fn(Place<'_>) -> $ty = $default;
                            default(place)
                        }
                    },)*
                })
            }

            /// Names and values in the order of the table.
            #[must_use]
            pub fn values(&self) -> Vec<(&'static str, serde_json::Value)> {
                vec![$((stringify!($name), self.$name.to_json())),*]
            }
        }
    };
}

settings! {
    /// The Unix socket to listen on.
    socket: PathBuf = |place| api::paths::rpc_socket(place.env);
    /// The folder of modules, artifacts, history and logs.
    state_dir: PathBuf = |place| place.state_dir.to_owned();
    /// The folder whose modules are registered by their file names.
    services_dir: PathBuf = |place| place.state_dir.join("services");
    /// What is logged: off, error, warn, info, debug, trace, or target=level pairs.
    log_level: LogLevel = |_| LogLevel::default();
    /// Workers that stand ready at least.
    spare_min: u32 = |_| 2;
    /// Workers that stand ready at most.
    spare_max: u32 = |_| 8;
    /// Sessions that may run at once.
    max_sessions: u32 = |_| 256;
    /// Sessions that may wait for a worker.
    max_queue: u32 = |_| 10_000;
    /// Connections that may be open at once.
    max_connections: u32 = |_| 1024;
    /// Wall-clock limit of a session that names none, in milliseconds; 0 is none.
    timeout_ms: u64 = |_| 0;
    /// Linear memory of a session that names no limit, in MiB.
    memory_limit_mb: u32 = |_| 256;
    /// Output kept of a session that names no limit, in bytes.
    output_limit_bytes: u64 = |_| 64 << 20;
    /// From SIGTERM to SIGKILL when a session is stopped, in milliseconds.
    grace_ms: u64 = |_| 5000;
    /// How long the server waits for sessions when it is told to stop, in milliseconds.
    drain_ms: u64 = |_| 10_000;
    /// Folders from which a session may name a module by its path; colons between them.
    module_dirs: Vec<PathBuf> = |_| Vec::new();
    /// Programs of this machine that a session with the permission exec may have started, by their absolute paths; colons
    /// between them. They run with this server's rights.
    exec_programs: Vec<PathBuf> = |_| Vec::new();
    /// The largest module, in bytes.
    module_max_bytes: u64 = |_| 256 << 20;
    /// The largest body of a JSON-RPC request, in bytes.
    body_max_bytes: u64 = |_| 8 << 20;
    /// The most requests in one JSON-RPC batch.
    batch_max: u32 = |_| 1000;
    /// When the replies of a batch exceed this many bytes, the rest of the batch is refused.
    batch_reply_max_bytes: u64 = |_| 64 << 20;
    /// History kept of one session, in bytes.
    history_session_bytes: u64 = |_| 64 << 20;
    /// History kept in all, in bytes.
    history_total_bytes: u64 = |_| 1 << 30;
    /// How long an ended session is kept, in days.
    history_max_age_days: u32 = |_| 30;
    /// How many ended sessions are kept.
    history_max_sessions: u64 = |_| 100_000;
    /// Lines of a session's log that stay in memory at least.
    ring_lines: u32 = |_| 1024;
    /// Send the lines of every session to the system's log, unless the session says otherwise.
    forward_logs: bool = |_| false;
    /// Processor time in milliseconds after which a session gives way to all that is not a long-running session; 0 is never.
    session_yield_ms: u32 = |_| 1000;
    /// Templates that the server makes by itself of modules that are used often; 0 makes none.
    templates_max: u32 = |_| 8;
    /// Files in JSON that list templates, each as template_create takes it; colons between.
    templates_file: Vec<PathBuf> = |_| Vec::new();
    /// How long a module may take to come to where its sessions begin, in milliseconds.
    template_warm_ms: u64 = |_| 60_000;
    /// Memory that templates and their parked workers may take together, in MiB; beyond it, the idle ones go.
    templates_memory_mb: u64 = |_| 1024;
    /// Compile modules in the background.
    compile: bool = |_| true;
    /// The longest that a compile may take, in milliseconds.
    compile_timeout_ms: u64 = |_| 600_000;
    /// The most memory that a compile may use, in MiB.
    compile_memory_mb: u64 = |_| 4096;
    /// Start the services that the services folder declares.
    services: bool = |_| true;
    /// Take up changes in the services folder as they are made.
    watch: bool = |_| false;
    /// Where the gateway listens for HTTP: an address of this machine and a port, or off.
    gateway_listen: Door = |_| Door::default();
    /// Names of the gateway's host by which its panel may be asked for, besides those of loopback; commas between them.
    gateway_hosts: Words = |_| Words::default();
    /// Connections that the gateway holds at once.
    gateway_max_connections: u32 = |_| 4096;
    /// The largest body of a request to a service, in bytes.
    gateway_body_max_bytes: u64 = |_| 64 << 20;
    /// The longest that a client of the gateway may take for the head of a request, in milliseconds.
    gateway_head_timeout_ms: u64 = |_| 10_000;
    /// The longest that a client of the gateway may be silent in the middle of a body, in milliseconds.
    gateway_body_timeout_ms: u64 = |_| 30_000;
    /// The longest that a service may take for the head of its answer, in milliseconds.
    gateway_response_timeout_ms: u64 = |_| 60_000;
    /// How long an idle connection of the gateway is kept, in milliseconds.
    gateway_idle_timeout_ms: u64 = |_| 75_000;
    /// Who brings this token may deploy packages by POST /upload on the gateway; without one there is no such path.
    upload_token: Secret = |_| Secret::default();
    /// Files with such tokens, one in each; colons between.
    upload_token_file: Vec<PathBuf> = |_| Vec::new();
    /// The largest package that is taken, in MiB as it is sent; unpacked it may be four times as large.
    max_package_mb: u32 = |_| 256;
    /// Versions of a deployed service that are kept beside the one that serves.
    keep_versions: u32 = |_| 5;
    /// Threads of the server; 1 keeps everything on the main thread.
    server_threads: u32 = |_| 1;
}

/// The settings and where each came from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The values.
    pub settings: Settings,
    /// Where a value came from, by name; a name that is missing has its default.
    pub origins: BTreeMap<&'static str, Origin>,
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
}

impl Resolved {
    /// The source of a setting's value.
    #[must_use]
    pub fn origin(&self, name: &str) -> Origin {
        self.origins.get(name).cloned().unwrap_or(Origin::Default)
    }

    /// The names of the settings that differ.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Vec<&'static str> {
        let old = self.settings.values();
        let new = newer.settings.values();
        old.into_iter().zip(new).filter(|(old, new)| old != new).map(|((name, _), _)| name).collect()
    }

    /// Takes over the value of one setting that can change in a running server.
    pub fn set_log_level(&mut self, newer: &Self) {
        self.settings.log_level.clone_from(&newer.settings.log_level);
        match newer.origins.get("log_level") {
            Some(origin) => self.origins.insert("log_level", origin.clone()),
            None => self.origins.remove("log_level"),
        };
    }

    /// What each value by itself cannot show: ranges, and values that have to fit each other.
    fn check(&self) -> Result<(), Error> {
        let s = &self.settings;
        let rules: [(bool, &'static str, &str); 11] = [
            (s.spare_min <= s.spare_max, "spare_min", "is larger than spare_max"),
            (s.max_sessions >= 1, "max_sessions", "has to be 1 or more"),
            (s.gateway_max_connections >= 1, "gateway_max_connections", "has to be 1 or more"),
            (s.max_connections >= 1, "max_connections", "has to be 1 or more"),
            (s.memory_limit_mb >= 1, "memory_limit_mb", "has to be 1 or more"),
            (s.memory_limit_mb <= 4096, "memory_limit_mb", "is more than 32-bit memory can have, 4096"),
            (s.max_package_mb >= 1, "max_package_mb", "has to be 1 or more"),
            (s.batch_max >= 1, "batch_max", "has to be 1 or more"),
            (s.body_max_bytes >= 1024, "body_max_bytes", "is less than 1024"),
            (s.server_threads >= 1 && s.server_threads <= 64, "server_threads", "is not 1 to 64"),
            (
                api::paths::fits_socket_address(&s.socket),
                "socket",
                "is longer than the 107 bytes of an address",
            ),
        ];
        for (holds, name, problem) in rules {
            if !holds {
                return Err(Error::new(name, self.origin(name), problem));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
