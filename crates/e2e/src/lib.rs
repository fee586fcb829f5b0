//! The harness of the end-to-end tests.
//!
//! ```no_run
//! use e2e::{Server, json};
//!
//! let server = Server::start();
//! let result = server.run(json!({ "module": "hello" }));
//! assert_eq!(result["stdout"], "hello, world\n");
//! ```
//!
//! A [`Server`] is the real program in a folder of its own. Every reply of [`Server::rpc`] and every event of
//! [`Server::follow`] is held to the contract ([`contract`]). When it is dropped, the server is killed, and it is an error
//! if a process of its tree is left.
//!
//! Programs come from `HERO_BIN_DIR`, else from beside the test's own executable; guests from
//! `HERO_RUNNER_SERVICES_DIR`, else from `services/target`. `E2E_PATIENCE_S` is how long anything may take, 30 s by
//! default; nothing here measures time otherwise.

pub mod canary;
pub mod census;
pub mod contract;
pub mod door;
pub mod http;
mod modules;
pub mod packages;
mod patience;
pub mod places;
mod rpc;
mod server;
pub mod services;
mod setup;
mod sse;
mod traffic;

pub use door::Door;
pub use patience::{eventually, patience};
pub use serde_json::{Value, json};
pub use server::{Folder, Server, signal_to, until_on_disk};
pub use setup::Setup;
pub use sse::{Event, Events};
pub use traffic::{Traffic, ask};
