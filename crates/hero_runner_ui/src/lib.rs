//! The dashboard of hero_runner, for a browser.
//!
//! A program of its own beside the server: it listens on `ui.sock`, and on a port of this machine where it is told to, asks the
//! server over `rpc.sock` like any other client, and writes whole pages. The gateway passes on only the [`panel`], a page
//! without scripts, since its services share its origin.

pub mod accept;
pub mod app;
pub mod assets;
pub mod door;
pub mod panel;
pub mod routes;
pub mod serve;

mod html;
mod pages;
mod proxy;
mod server;
mod shell;
mod shield;
mod view;

/// The name of this program, in its replies and messages.
pub const NAME: &str = "hero_runner_ui";
