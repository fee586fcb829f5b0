//! The public contract of hero_runner.
//!
//! Everything that crosses `rpc.sock` is a type of this crate: the methods with their parameters and
//! replies ([`method`]), sessions ([`session`]) and their ends ([`outcome`]), log lines ([`log`]), modules
//! ([`module`]), templates ([`template`]), services ([`service`]) and their schedules ([`schedule`]), manifests of packages
//! ([`manifest`]), what a module says of itself ([`inspection`]), what the server says of itself ([`stats`], [`samples`]) and
//! how it is governed ([`admin`]), the table of error codes ([`error`]) and the places of sockets and state ([`paths`]).
//! The OpenRPC document is generated from these types ([`openrpc`]), so it cannot say anything else.
//! This crate knows no runtime and does no I/O.

pub mod admin;
pub mod error;
pub mod inspection;
pub mod log;
pub mod manifest;
pub mod method;
pub mod module;
pub mod openrpc;
pub mod outcome;
pub mod paths;
pub mod permission;
pub mod retry;
pub mod samples;
pub mod schedule;
pub mod service;
pub mod session;
pub mod size;
pub mod stats;
pub mod template;

pub use error::{ErrorCode, ErrorData};
pub use log::{LogKind, LogLine};
pub use method::Method;
pub use module::{ModuleInfo, ModuleKind};
pub use outcome::Outcome;
pub use permission::Permissions;
pub use session::{SessionInfo, SessionState, StartKind};

/// The version of this build, as `GET /health` reports it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The name of the service: its folder under the socket directory and its name in every reply.
pub const SERVICE: &str = "hero_runner";
