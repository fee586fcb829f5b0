//! What the server keeps on disk: modules by their content, their compiled artifacts, and the history of
//! sessions with their logs, the templates that were asked for, and the calls of schedules.
//!
//! Everything here is plain files, SQLite and threads; every call that can touch the disk says so, and an
//! asynchronous caller moves it off its runtime. Nothing here keeps a server from starting or running: a
//! damaged database is moved aside ([`Database::open`]), a full disk makes the history forget and say so
//! ([`history::History`]), a module whose file is gone is reported ([`modules::Modules::problems`]).

mod database;
pub mod history;
pub mod modules;
pub mod schedules;
pub mod templates;

pub use database::Database;

/// The result of every call; the error is a row of the public table with a message.
pub type Result<T, E = api::error::Error> = std::result::Result<T, E>;
