//! The pages of hero_runner for a browser.
//!
//! A program of its own beside the server: it listens on `ui.sock`, asks the server over `rpc.sock` like any other client, and
//! writes plain HTML. The gateway passes on `/` and `/-/…` to it, so a browser reaches it there.

pub mod accept;
pub mod lock;
pub mod routes;
pub mod serve;
pub mod socket;

mod actions;
mod pages;
mod panel;
mod server;
mod shield;
mod style;
mod view;

/// The name of this program, in its replies and messages.
pub const NAME: &str = "hero_runner_ui";
