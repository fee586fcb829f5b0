//! The private contract between supervisor, zygote and worker.
//!
//! Two things cross process borders. A session's **frames** ([`frame`]) go through a pipe of their own, from
//! the worker to the supervisor: a fixed little-endian header, a length that is capped before anything is
//! allocated, then the payload. **Messages** ([`message`]) go through the control sockets, each behind a
//! 32-bit length with a cap of its own. This crate turns bytes into values and values into bytes; it does no
//! I/O and knows no runtime.

pub mod frame;
pub mod message;

pub use frame::{Decoder, Frame, FrameError, Header, Kind, Stream};
pub use message::{FromZygote, Report, SessionSpec, Sockets, TemplateSpec, ToZygote, Warm};
