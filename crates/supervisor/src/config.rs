//! What the supervisor is told at the start.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::logs::Batch;
use crate::pool;

/// Sends lines to the system's log; must not block.
pub type Forward = Arc<dyn Fn(&str, &Batch) + Send + Sync>;

/// Is told of a session that has ended; must not block.
pub type Ended = Arc<dyn Fn(&api::SessionInfo) + Send + Sync>;

/// What the supervisor is told at the start.
#[derive(Clone)]
pub struct Config {
    /// The program that is the zygote and the compile process.
    pub zygote: PathBuf,
    /// The same for Wasmtime, which runs components; `None` when the server was built without it.
    pub zygote_wasmtime: Option<PathBuf>,
    /// The folder of modules, artifacts and history.
    pub state_dir: PathBuf,
    /// A folder whose `*.wasm` files are registered by name at the start.
    pub services_dir: Option<PathBuf>,
    /// Folders in which a session may name a module by its path.
    pub module_dirs: Vec<PathBuf>,
    /// Programs of the host that sessions with the permission `exec` may have started.
    pub exec_programs: Vec<PathBuf>,
    /// How large the pool may be.
    pub pool: pool::Limits,
    /// The time limit of a session that names none; `None` is no limit.
    pub timeout_ms: Option<u64>,
    /// The memory limit of a session that names none, in MiB.
    pub memory_limit_mb: u32,
    /// The output limit of a session that names none, in bytes.
    pub output_limit_bytes: u64,
    /// From SIGTERM to SIGKILL for a stop that names no grace.
    pub grace: Duration,
    /// Lines that a session keeps in memory.
    pub ring_lines: usize,
    /// After so much processor time, in milliseconds, a session runs only when nothing else wants to; 0 is never.
    pub yield_after_ms: u32,
    /// How many templates the server makes by itself at most; 0 makes none.
    pub templates_max: usize,
    /// Templates that a file declares.
    pub templates: Vec<api::template::TemplateCreate>,
    /// How long a module may take to come to the point where its sessions begin.
    pub template_warm: Duration,
    /// How much memory templates may take together, with their parked workers, in KiB.
    pub templates_memory_kb: u64,
    /// Whether modules are compiled in the background.
    pub compile: bool,
    /// How long compiling one module may take.
    pub compile_timeout: Duration,
    /// How much memory compiling may take, in MiB.
    pub compile_memory_mb: u64,
    /// The largest module, in bytes.
    pub module_max_bytes: u64,
    /// What the history keeps.
    pub history: store::history::Settings,
    /// Forward the lines of all sessions, not only of those that ask for it.
    pub forward_all: bool,
    /// Where forwarded lines go.
    pub forward: Option<Forward>,
    /// Who is told of every session that has ended.
    pub ended: Option<Ended>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("zygote", &self.zygote)
            .field("state_dir", &self.state_dir)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
