//! What an engine is: how a module is handed to it, what a run says, and how a run ends.
//!
//! An engine runs inside a worker, a process with one thread that serves one session. It knows nothing of
//! pipes, frames or sockets: the guest's standard streams come in as [`Stdio`], and the end of a run goes out
//! as an [`Ending`].

pub mod exec;
mod network;
pub mod policy;
pub mod wasi;

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

pub use network::{Connect, Destination, Listener, Network};
pub use policy::Policy;

/// The guest's output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The guest's standard streams, as the worker provides them.
pub trait Stdio {
    /// Takes what the guest writes in one call; returns how many bytes were taken.
    ///
    /// # Errors
    /// When nothing can be written any more; the guest sees the errno.
    fn write(&mut self, output: Output, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Called before the guest reads standard input or waits until it can.
    ///
    /// # Errors
    /// When there is none; the guest sees the errno.
    fn stdin_wanted(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Reads standard input; 0 bytes are its end.
    ///
    /// # Errors
    /// When it cannot be read; the guest sees the errno.
    fn read(&mut self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize>;

    /// Called when the module is loaded and the guest is about to begin.
    fn loaded(&mut self) {}

    /// Called when the guest has said that it is ready.
    fn ready(&mut self) {}

    /// Has a program of the host run to its end.
    ///
    /// # Errors
    /// Why that may not be, or how it failed.
    fn exec(&mut self, _: exec::Command<'_>) -> Result<exec::Finished, exec::Refused> {
        Err(exec::Refused::Permission)
    }

    /// The descriptor that standard input comes from, where waiting for it is the engine's business.
    fn stdin_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Fills a buffer with random bytes that no other session gets.
    ///
    /// # Errors
    /// When the kernel refuses; the guest sees the errno.
    fn random(&mut self, buffer: &mut [u8]) -> io::Result<()>;
}

/// Standard streams that lead nowhere, for warming and rehearsals.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl Stdio for Nowhere {
    fn write(&mut self, _: Output, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn read(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(0)
    }

    fn random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        sys::random::fill(buffer)
    }
}

/// A module as a file, and what the file is.
#[derive(Debug, Clone, Copy)]
pub struct Code<'a> {
    /// Where it lies.
    pub path: &'a Path,
    /// Whether it is an artifact that this host's own compile process made, or the module itself.
    pub compiled: bool,
}

/// A folder that the guest may use.
#[derive(Debug, Clone, Copy)]
pub struct Dir<'a> {
    /// The host's path; it holds no colon.
    pub host: &'a str,
    /// The guest's name for it; it holds no colon.
    pub guest: &'a str,
    /// Nothing in it can be changed.
    pub read_only: bool,
}

/// What a run says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run<'a> {
    /// All arguments; the first is the program's name.
    pub args: &'a [String],
    /// Environment as `NAME=value`.
    pub env: &'a [String],
    /// Folders that the guest may use.
    pub dirs: &'a [Dir<'a>],
    /// The most pages of 64 KiB that the guest's memory may have.
    pub max_pages: u32,
    /// An exported function to call before `_start`.
    pub init: Option<&'a str>,
    /// What of the network the guest may use. `None`: it has no socket functions but the engine's own, which the kernel's
    /// filter refuses, and costs nothing.
    pub network: Option<&'a Network>,
    /// A function to call first, after which the guest is ready ([`Stdio::ready`]).
    pub ready_export: Option<&'a str>,
    /// What is run instead of the program's entry.
    pub entry: Entry<'a>,
    /// The guest ends after so much time.
    pub deadline: Option<Duration>,
}

/// What of a module is run.
#[derive(Debug, Clone, Copy, Default)]
pub enum Entry<'a> {
    /// `_start`, or a component's `run`.
    #[default]
    Program,
    /// An exported function.
    Invoke {
        /// Its name, `interface#name`, or a whole call in WAVE.
        function: &'a str,
        /// Its arguments, a JSON array; empty for a call in WAVE.
        args: &'a str,
    },
    /// `wasi:http/incoming-handler`, for each request on the connection that [`Stdio::stdin_fd`] is.
    Serve {
        /// After so many requests the run ends.
        max_requests: u32,
        /// The longest that one may take.
        timeout: Duration,
    },
}

/// How a run ended, as the engine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The guest returned (0) or called `proc_exit`.
    Exited(i32),
    /// The invoked function has returned this value, as JSON: the payload where it is a `result`.
    Returned {
        /// Not a `result` that is an error.
        ok: bool,
        /// The value.
        value: String,
    },
    /// The guest broke a rule.
    Trapped {
        /// A stable name, for example `unreachable`.
        trap: &'static str,
        /// The engine's words.
        message: String,
    },
    /// The module could not be loaded or instantiated.
    LoadFailed(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "it ended with exit code {code}"),
            Self::Returned { value, .. } => write!(f, "it returned {value}"),
            Self::Trapped { message, .. } => write!(f, "it trapped: {message}"),
            Self::LoadFailed(message) => f.write_str(message),
        }
    }
}

/// Why an engine could not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// An adapter to a WebAssembly runtime.
pub trait Engine {
    /// The runtime and its version, for example `wasmedge 0.17.1`.
    fn version(&self) -> String;

    /// What the runtime prints when a guest wants more memory than there is for it: one of these texts. With them
    /// the supervisor tells a guest that failed for want of memory from one that failed by itself.
    fn growth_refused(&self) -> &'static [&'static str];

    /// Brings everything that all sessions need into memory, before the first fork. No thread may be left.
    ///
    /// # Errors
    /// When the runtime does not work on this machine.
    fn warm(&mut self) -> Result<(), Error>;

    /// Runs a module that does next to nothing, in a process that was just forked and waits for its session. Memory that every
    /// run touches is then this process's own before the session comes, instead of while it runs.
    fn rehearse(&mut self);

    /// Runs a module to its end.
    fn run(&mut self, code: Code<'_>, run: &Run<'_>, stdio: &mut dyn Stdio) -> Ending;

    /// Whether a process may be forked while a guest runs in it, inside a call of [`Stdio`].
    fn forks_within_runs(&self) -> bool {
        true
    }

    /// Whether what is prepared has files open that forks of this process need, such as those that memory is mapped from.
    fn keeps_files(&self) -> bool {
        false
    }

    /// Loads and instantiates a module, so that a fork of this process can run it at once ([`Engine::run_prepared`]).
    /// With [`Run::init`] that function is called too, with the arguments, environment, folders and streams given here;
    /// without, the module gets none of them. A module whose sessions use the network is prepared with one, which may be
    /// empty. No thread may be left.
    ///
    /// # Errors
    /// When the runtime refuses the module, or it did not come to that point by itself.
    fn prepare(&mut self, code: Code<'_>, run: &Run<'_>, stdio: &mut dyn Stdio) -> Result<(), Error>;

    /// Whether a module is prepared, so that its file is not looked at any more.
    fn is_prepared(&self) -> bool;

    /// Runs the module that was prepared, with these arguments, environment, folders and network; its memory limit is
    /// that of the preparation. `None` when none was.
    fn run_prepared(&mut self, run: &Run<'_>, stdio: &mut dyn Stdio) -> Option<Ending>;

    /// Compiles a module for this machine.
    ///
    /// # Errors
    /// When the runtime refuses the module or cannot write the artifact.
    fn compile(&self, module: &Path, artifact: &Path) -> Result<(), Error>;
}
