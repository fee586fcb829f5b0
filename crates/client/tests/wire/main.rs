//! The client against a small real server on a Unix socket.

#![allow(clippy::unwrap_used, reason = "a test may panic anywhere")]

mod calls;
mod fake;
mod follow;
mod upload;
