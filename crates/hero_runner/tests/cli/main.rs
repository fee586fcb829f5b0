//! The program itself, against a small real server on a Unix socket.

#![allow(clippy::unwrap_used, reason = "a test may panic anywhere")]

mod fake;
mod foreground;
mod lifecycle;
mod run;
mod samples;
mod schedules;
mod scripts;
mod services;
mod templates;
mod ui;
mod verbs;
mod with_zinit;
