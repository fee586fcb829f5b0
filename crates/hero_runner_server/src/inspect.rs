//! `module_inspect`: a stored module is read in a process of its own.
//!
//! Telling what a component says of itself needs a good deal of code that was not written for bytes of strangers. It runs
//! once for each content, in this program called anew, with limits.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::ErrorCode;
use api::error::Error;
use api::inspection::Inspection;
use nix::sys::prctl::set_no_new_privs;
use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};
use supervisor::Supervisor;
use tokio::sync::Semaphore;

/// The argument that makes this program inspect a file and leave.
pub const ARGUMENT: &str = "--inspect-module";

/// Modules that are inspected at once.
const AT_ONCE: usize = 2;

/// Results that are kept; the one that was asked for last is the last to go.
const KEPT: usize = 16;

/// How long it may take; processor time is limited to the same.
const LIMIT: Duration = Duration::from_secs(30);

/// Memory that it may take, in bytes.
const MEMORY: u64 = 2 << 30;

/// What the process says.
#[derive(Debug, Serialize, Deserialize)]
enum Told {
    Found(Box<Inspection>),
    Refused { code: ErrorCode, reason: String },
}

/// Inspects stored modules. All clones keep the same results.
#[derive(Debug, Clone)]
pub struct Inspector {
    kept: Arc<Mutex<Kept>>,
    turns: Arc<Semaphore>,
}

/// Results by the digest of their module, the one last that was asked for last.
type Kept = VecDeque<(Arc<str>, Arc<Inspection>)>;

impl Default for Inspector {
    fn default() -> Self {
        Self { kept: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Inspector {
    /// Answers `module_inspect`.
    ///
    /// # Errors
    /// When there is no such module, it cannot be read, or reading it takes too much.
    pub async fn inspect(&self, supervisor: &Supervisor, name: &str) -> Result<Inspection, Error> {
        let module = supervisor.module(name)?;
        if let Some(known) = self.known(&module.digest) {
            return Ok(known);
        }
        let failed = |why: &dyn std::fmt::Display| {
            Error::new(ErrorCode::Internal, format!("module {name:?} cannot be inspected: {why}"))
        };
        let _turn = self.turns.acquire().await.map_err(|error| failed(&error))?;
        // Whoever had the turn before may have asked for the same.
        if let Some(known) = self.known(&module.digest) {
            return Ok(known);
        }
        // This very program, also when its file has been replaced or removed.
        let process = tokio::process::Command::new("/proc/self/exe")
            .arg0("hero_runner_server")
            .arg(ARGUMENT)
            .arg(&*module.path)
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output();
        let Ok(output) = tokio::time::timeout(LIMIT, process).await else {
            let message = format!("inspecting module {name:?} took more than {} s", LIMIT.as_secs());
            return Err(Error::new(ErrorCode::ResourceExhausted, message));
        };
        let output = output.map_err(|error| failed(&error))?;
        match serde_json::from_slice(&output.stdout) {
            Ok(Told::Found(found)) => {
                self.keep(&module.digest, &found);
                Ok(*found)
            }
            Ok(Told::Refused { code, reason }) => Err(Error::new(code, format!("module {name:?}: {reason}"))),
            Err(_) => Err(failed(&format!("the process that reads it ended with {}", output.status))),
        }
    }

    fn known(&self, digest: &str) -> Option<Inspection> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| **known == *digest)?;
        let entry = kept.remove(at)?;
        let found = Arc::clone(&entry.1);
        kept.push_back(entry);
        drop(kept);
        Some(Inspection::clone(&found))
    }

    fn keep(&self, digest: &Arc<str>, found: &Inspection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((Arc::clone(digest), Arc::new(found.clone())));
    }
}

/// What the process does: inspects a file and tells on standard output.
pub fn run(file: &OsStr) -> ExitCode {
    let seconds = LIMIT.as_secs();
    let limits = [(Resource::RLIMIT_CPU, seconds), (Resource::RLIMIT_AS, MEMORY), (Resource::RLIMIT_CORE, 0)];
    let limited = limits.into_iter().try_for_each(|(resource, limit)| setrlimit(resource, limit, limit));
    if let Err(error) = limited.and_then(|()| set_no_new_privs()) {
        eprintln!("hero_runner_server: a limit cannot be set: {error}");
        return ExitCode::FAILURE;
    }
    let told = match std::fs::read(Path::new(file)) {
        Ok(bytes) => match package::inspect::inspect(&bytes) {
            Ok(found) => Told::Found(Box::new(found)),
            Err(refused) => Told::Refused { code: refused.code, reason: refused.reason },
        },
        Err(error) => Told::Refused { code: ErrorCode::ModuleNotFound, reason: format!("its file: {error}") },
    };
    let written = serde_json::to_vec(&told).map(|text| std::io::stdout().write_all(&text));
    if matches!(written, Ok(Ok(()))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
