//! Messages on the control sockets.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

mod network;

pub use network::{Connect, Listener, Network, Sockets};

/// The longest message in bytes, checked before anything is allocated. Arguments and environment of a
/// session have to fit.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// The length of the prefix in bytes.
pub const PREFIX_LEN: usize = 4;

/// From the supervisor to the zygote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToZygote {
    /// Fork a worker for this slot. Four descriptors come with it, in the order of [`FORK_FDS`].
    Fork {
        /// The slot; the zygote only repeats it.
        slot: u64,
    },
    /// Fork a template: a zygote for one module. Three descriptors come with it, in the order of [`TEMPLATE_FDS`].
    /// On its control socket it says [`FromZygote::Ready`] when it is warm, or [`FromZygote::NotWarm`] and leaves.
    Template {
        /// Its number; the zygote only repeats it.
        template: u64,
        /// Its name, for the process title.
        title: String,
        /// What it is to prepare.
        spec: TemplateSpec,
    },
}

/// What a template prepares.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TemplateSpec {
    /// Whether the descriptor holds a compiled artifact (made by this host's own compile process).
    pub compiled: bool,
    /// The most pages of 64 KiB that the guest's memory may have.
    pub max_pages: u32,
    /// How far the module runs before the first fork.
    pub warm: Warm,
    /// All arguments that the module sees until then; the first is the program's name.
    pub args: Vec<String>,
    /// Its environment until then, as `NAME=value`.
    pub env: Vec<String>,
    /// The folders that it may use until then.
    pub dirs: Vec<Dir>,
    /// What sockets its sessions may have.
    pub sockets: Sockets,
}

/// How far a module runs in a template before sessions are forked from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Warm {
    /// Not at all: it is loaded and instantiated. A session has its own arguments, environment and folders.
    Instantiate,
    /// An exported function of this name has returned. A session has its own arguments, environment and folders.
    Export(String),
    /// `_start` has come to its first read of standard input, and goes on from there in each session.
    Stdin,
}

/// How many descriptors come with [`ToZygote::Template`]: control, module, host.
pub const TEMPLATE_FDS: usize = 3;

/// How many descriptors come with [`ToZygote::Fork`]: stdin, host, control, frames.
pub const FORK_FDS: usize = 4;

/// From the zygote to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromZygote {
    /// The engine is warm; forks can be asked for.
    Ready {
        /// The zygote's process.
        pid: u32,
        /// The engine and its version, for example `wasmedge 0.17.1`.
        engine: String,
        /// What the engine prints when a guest wants more memory than there is for it: one of these texts.
        growth_refused: Vec<String>,
    },
    /// A worker was forked and parks. Its pidfd comes with the message.
    Forked {
        /// The slot of the request.
        slot: u64,
        /// The worker's process.
        pid: u32,
    },
    /// A template's module could not be brought to the point where sessions begin.
    NotWarm {
        /// Why.
        why: String,
    },
    /// A template was forked and prepares its module. Its pidfd comes with the message.
    TemplateForked {
        /// The number of the request.
        template: u64,
        /// The template's process.
        pid: u32,
    },
    /// No template could be forked.
    TemplateFailed {
        /// The number of the request.
        template: u64,
    },
    /// No worker could be forked.
    ForkFailed {
        /// The slot of the request.
        slot: u64,
        /// The reason as an errno.
        errno: i32,
    },
    /// A worker is gone and was reaped: the kernel's word.
    Exited {
        /// The slot of the request.
        slot: u64,
        /// How it ended.
        status: WaitStatus,
        /// User and system CPU time in microseconds.
        cpu_us: u64,
        /// Largest resident size in KiB.
        max_rss_kb: u64,
        /// Page faults without I/O.
        minor_faults: u64,
    },
}

/// How a process ended, as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitStatus {
    /// It left with this status.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

/// What a worker is to run. Descriptors come with the message: the module's, the one for standard output when
/// `raw_stdout` says so, the connection when `serve` does, the sockets of the listeners in their order, then the socket for
/// programs when `exec` says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSpec {
    /// The session's id, for the process title.
    pub session_id: String,
    /// Whether the descriptor holds a compiled artifact (made by this host's own compile process).
    pub compiled: bool,
    /// All arguments; the first is the program's name.
    pub args: Vec<String>,
    /// Environment as `NAME=value`.
    pub env: Vec<String>,
    /// Folders that the guest may use.
    pub dirs: Vec<Dir>,
    /// The most pages of 64 KiB that the guest's memory may have.
    pub max_pages: u32,
    /// An exported function to call before `_start`, where no template has done so.
    pub init: Option<String>,
    /// After so much processor time, in milliseconds, it runs only when nothing else wants to; 0 is never.
    pub yield_after_ms: u32,
    /// Standard output goes as it is to a descriptor of its own, not into the log.
    pub raw_stdout: bool,
    /// An exported function to call instead of the program's entry.
    pub invoke: Option<Invoke>,
    /// The session answers HTTP requests, on a connected stream socket that comes with it.
    pub serve: Option<Serve>,
    /// The name of a function to call first; when it has returned the session is ready.
    pub ready_export: Option<String>,
    /// After so much time from the start, in milliseconds, the engine ends the guest by itself; 0 is never. The supervisor
    /// kills the process a little later.
    pub deadline_ms: u64,
    /// What of the network it may use.
    pub network: Option<Network>,
    /// It may have programs of the host started, by asking on a connected stream socket that comes with it, the last of the
    /// descriptors.
    pub exec: bool,
}

/// A program that a session wants to have started, from its worker to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Its path as the list has it, or the last part of that.
    pub program: String,
    /// What follows its name.
    pub args: Vec<String>,
    /// Its whole standard input.
    pub stdin: Vec<u8>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Execed {
    /// It ran to its end.
    Finished {
        /// Its exit code; 128 and the number of the signal when one ended it.
        code: i32,
        /// What it printed.
        stdout: Vec<u8>,
        /// What it printed there.
        stderr: Vec<u8>,
    },
    /// It is not on the list.
    Unlisted,
    /// It could not be started, or printed too much.
    Failed {
        /// Why.
        why: String,
    },
}

/// A call of an exported function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoke {
    /// Its name, `interface#name` where an exported interface has it, or a whole call in WAVE.
    pub function: String,
    /// Its arguments, a JSON array; empty for a call in WAVE.
    pub args: String,
}

/// How a session answers HTTP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serve {
    /// After so many requests it ends.
    pub max_requests: u32,
    /// The longest that one may take, in milliseconds.
    pub timeout_ms: u64,
}

impl SessionSpec {
    /// What sockets it may have.
    #[must_use]
    pub fn sockets(&self) -> Sockets {
        match &self.network {
            None => Sockets::None,
            Some(Network { connect: Connect::Nothing, .. }) => Sockets::Given,
            Some(_) => Sockets::Outgoing,
        }
    }
}

/// A folder that a guest may use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dir {
    /// The host's path.
    pub host: String,
    /// The guest's name for it.
    pub guest: String,
    /// Nothing in it can be changed.
    pub read_only: bool,
}

/// What a worker tells at the end of its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How the run ended.
    pub report: Report,
    /// From taking the session to the guest's first instruction, in microseconds; `None` when it did not come to that, or had
    /// begun before.
    pub load_us: Option<u64>,
}

/// How a run ended, as the worker claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The guest returned or called `proc_exit`.
    Exited {
        /// Its code.
        code: i32,
    },
    /// The invoked function has returned. Its value came before, as frames of the kind `Value`.
    Returned {
        /// Not a `result` that is an error.
        ok: bool,
    },
    /// The guest broke a rule.
    Trapped {
        /// A stable name.
        trap: String,
        /// The engine's words.
        message: String,
    },
    /// The engine refused the module.
    LoadFailed {
        /// The engine's words.
        message: String,
    },
}

/// The status with which a worker leaves, so that the kernel's word can confirm a [`Report`].
pub mod exit {
    /// The guest trapped: 128 + SIGABRT, as other runtimes have it.
    pub const TRAPPED: i32 = 134;
    /// The engine refused the module (EX_DATAERR of sysexits.h).
    pub const LOAD_FAILED: i32 = 65;
    /// The worker itself failed (EX_SOFTWARE of sysexits.h).
    pub const BROKEN: i32 = 70;
    /// The supervisor closed the control socket before a session came.
    pub const UNUSED: i32 = 0;
}

impl Report {
    /// The status with which the worker of this report has to leave.
    #[must_use]
    pub fn exit_status(&self) -> i32 {
        match self {
            // Only the low eight bits reach wait(2).
            Self::Exited { code } => code & 0xff,
            Self::Returned { ok } => i32::from(!ok),
            Self::Trapped { .. } => exit::TRAPPED,
            Self::LoadFailed { .. } => exit::LOAD_FAILED,
        }
    }
}

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The length is over the cap.
    #[error("a message of {0} bytes is over the limit of {MAX_MESSAGE}")]
    TooLong(usize),
    /// The bytes are no message of this kind.
    #[error("the bytes are not a message")]
    Malformed,
}

/// The message as bytes, behind its length.
///
/// # Errors
/// When it is longer than [`MAX_MESSAGE`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, MessageError> {
    let mut bytes = postcard::to_extend(message, vec![0; PREFIX_LEN]).map_err(|_| MessageError::Malformed)?;
    let len = bytes.len() - PREFIX_LEN;
    if len > MAX_MESSAGE {
        return Err(MessageError::TooLong(len));
    }
    bytes[..PREFIX_LEN].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(bytes)
}

/// The length that a prefix announces.
///
/// # Errors
/// When it is over [`MAX_MESSAGE`].
pub fn announced(prefix: [u8; PREFIX_LEN]) -> Result<usize, MessageError> {
    let len = u32::from_le_bytes(prefix) as usize;
    if len > MAX_MESSAGE { Err(MessageError::TooLong(len)) } else { Ok(len) }
}

/// Reads a message from the bytes behind the prefix.
///
/// # Errors
/// When the bytes are no message of this kind.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MessageError> {
    postcard::from_bytes(bytes).map_err(|_| MessageError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_survives() {
        let message = FromZygote::Exited {
            slot: 3,
            status: WaitStatus::Signaled(9),
            cpu_us: 5,
            max_rss_kb: 6,
            minor_faults: 60,
        };
        let bytes = encode(&message).unwrap();
        let (prefix, body) = bytes.split_first_chunk::<PREFIX_LEN>().unwrap();
        assert_eq!(announced(*prefix).unwrap(), body.len());
        assert_eq!(decode::<FromZygote>(body).unwrap(), message);
    }

    #[test]
    fn a_message_over_the_cap_is_refused() {
        let report = Report::LoadFailed { message: "x".repeat(MAX_MESSAGE) };
        assert!(matches!(encode(&report), Err(MessageError::TooLong(_))));
        assert!(announced(u32::MAX.to_le_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<FromZygote>(&bytes);
            let _ = decode::<SessionSpec>(&bytes);
            let _ = decode::<Ended>(&bytes);
            let _ = decode::<Exec>(&bytes);
            let _ = decode::<Execed>(&bytes);
        }
    }
}
