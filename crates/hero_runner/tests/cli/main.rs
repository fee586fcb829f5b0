//! The program itself, against a small real server on a Unix socket.

#![allow(clippy::unwrap_used, reason = "a test may panic anywhere")]

mod fake;
mod lifecycle;
mod run;
mod scripts;
mod templates;
mod ui;
mod verbs;
mod with_zinit;
