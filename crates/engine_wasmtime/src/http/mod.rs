//! `wasi:http`: a session that answers the requests of one connection ([`serve`]), and the requests that a guest sends
//! ([`Outgoing`]).

mod answer;
mod outgoing;
mod serve;

pub use outgoing::Outgoing;
pub use serve::{Limits, NoAnswer, TimedOut, serve};
